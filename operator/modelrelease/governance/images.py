"""Whether what runs behind a backend is what it is held to, in one sentence where it is not.

Images are compared by container name and digest. A container that comes later beside all those that are known (an
injected sidecar) is told and is no violation; one that takes the place of a known container is. Rejected: comparing
the pods' template hashes, which change with every restart and label.
"""

from collections.abc import Iterator

from modelrelease.domain.images import MAX_CONTAINERS, MAX_IMAGES, ImagesSeen, PodImages, UnitImages


def freeze(seen: ImagesSeen) -> UnitImages | None:
    """The images to hold a unit to; None where none can be told, or more than can be kept."""
    found: dict[str, set[str]] = {}
    for pod in seen.pods:
        for container, image in pod.images:
            if image:
                found.setdefault(container, set()).add(image)
    if not found or excess(seen):
        return None
    containers = tuple((name, tuple(sorted(images))) for name, images in sorted(found.items()))
    return UnitImages(seen.digest, containers, partial=bool(untold(seen)))


def untold(seen: ImagesSeen) -> str:
    """Why images cannot be told, of all that is ready or of some of it; "" where all can be told."""
    if seen.unread or seen.unknown:
        return seen.unread or seen.unknown
    silent = next((pod.pod for pod in seen.pods if any(not image for _, image in pod.images)), None)
    if silent is not None:
        return f"the node of pod {silent} does not report its images"
    return excess(seen) or seen.partial


def excess(seen: ImagesSeen) -> str:
    """Why there is more than can be kept; "" where there is not."""
    containers: dict[str, set[str]] = {}
    for pod in seen.pods:
        for container, image in pod.images:
            containers.setdefault(container, set()).add(image)
    if len(containers) > MAX_CONTAINERS:
        return f"the pods have {len(containers)} containers; at most {MAX_CONTAINERS} are compared"
    for name, images in sorted(containers.items()):
        if len(images) > MAX_IMAGES:
            return f"container {name} runs {len(images)} images at the same time; at most {MAX_IMAGES} are compared"
    return ""


def moved(frozen: UnitImages, seen: ImagesSeen) -> str | None:
    """Which container of which pod runs another image than it is held to; None where none does."""
    found = [sentence for pod in sorted(seen.pods, key=lambda pod: pod.pod) for sentence in _moved(frozen, pod)]
    if not found:
        return None
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0]}{more}"


def injected(frozen: UnitImages, seen: ImagesSeen) -> tuple[str, ...]:
    """Containers that came beside all those that are held to; they are told and not compared."""
    known = dict(frozen.containers)
    return tuple(sorted({name for pod in seen.pods for name, _ in pod.images if name not in known}))


def other_than(declared: str, seen: ImagesSeen) -> str | None:
    """Which pod runs no container of a declared image, with what it runs; None where all do, or cannot be told."""
    for pod in sorted(seen.pods, key=lambda pod: pod.pod):
        images = dict(pod.images)
        if declared not in images.values() and all(images.values()):
            runs = ", ".join(f"{image} in container {name}" for name, image in images.items())
            return f"no container of pod {pod.pod} runs {declared}; it runs {runs}"
    return None


def _moved(frozen: UnitImages, pod: PodImages) -> Iterator[str]:
    known, has = dict(frozen.containers), dict(pod.images)
    for container, image in pod.images:
        was = known.get(container, ())
        if was and image and image not in was:
            yield f"image of container {container} is now {image}, was {' or '.join(was)}, on pod {pod.pod}"
    new = [name for name in has if name not in known]
    gone = [name for name in known if name not in has]
    if new and gone:
        yield f"container {new[0]} takes the place of container {gone[0]} on pod {pod.pod}"
