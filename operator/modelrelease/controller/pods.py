"""The images of a pod as its node reports them."""

from collections.abc import Mapping
from typing import Any

from modelrelease.domain.images import PodImages

MAX_DIGEST = 128


def pod_images(pod: Mapping[str, Any]) -> PodImages:
    """The image digest of each container of a pod.

    Init containers are over before anybody is served, native sidecars are init containers by their kind, and ephemeral
    containers are for debugging: none of them is looked at.
    """
    status = pod.get("status") or {}
    reported = {each["name"]: each.get("imageID") or "" for each in status.get("containerStatuses") or []}
    names = [each["name"] for each in (pod.get("spec") or {}).get("containers") or []]
    images = {name: image_digest(reported.get(name, "")) for name in dict.fromkeys((*names, *reported))}
    return PodImages(pod["metadata"]["name"], tuple(sorted(images.items())))


def image_digest(image_id: str) -> str:
    """The digest in an `imageID`, whatever registry and scheme stand before it; "" where there is none.

    Seen: `registry/image@sha256:…`, `docker-pullable://registry/image@sha256:…`, `docker://sha256:…`, `sha256:…`, and
    64 digits alone.
    """
    tail = image_id.rsplit("@", 1)[-1].rsplit("://", 1)[-1]
    return f"sha256:{tail}"[:MAX_DIGEST] if tail and ":" not in tail else tail[:MAX_DIGEST]
