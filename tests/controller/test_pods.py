"""The image digest of a container is read whatever runtime reports it."""

import pytest

from modelrelease.controller.pods import image_digest, pod_images

DIGEST = f"sha256:{'1' * 64}"


@pytest.mark.parametrize(
    ("image_id", "digest"),
    [
        (f"registry.example.com:5000/chat/server@{DIGEST}", DIGEST),
        (f"docker-pullable://registry.example.com/chat@{DIGEST}", DIGEST),
        (f"docker://{DIGEST}", DIGEST),
        (DIGEST, DIGEST),
        ("1" * 64, DIGEST),
        ("", ""),
    ],
)
def test_the_digest_stands_behind_registry_and_scheme(image_id, digest):
    assert image_digest(image_id) == digest


def test_only_containers_that_serve_are_looked_at():
    pod = {
        "metadata": {"name": "chat-a"},
        "spec": {"containers": [{"name": "server"}, {"name": "starting"}]},
        "status": {
            "containerStatuses": [{"name": "server", "imageID": f"chat@{DIGEST}"}],
            "initContainerStatuses": [{"name": "istio-proxy", "imageID": f"proxy@{DIGEST}"}],
            "ephemeralContainerStatuses": [{"name": "debugger", "imageID": f"busybox@{DIGEST}"}],
        },
    }
    assert pod_images(pod).images == (("server", DIGEST), ("starting", ""))
