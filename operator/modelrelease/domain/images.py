"""Which container images run behind a unit's backend: what was seen, and what is held to for the rollout (R2).

A version, a tag or a Service's name say nothing about what runs. The digest that the node reports for a container
does, whatever tag it was pulled by.
"""

from dataclasses import dataclass

MAX_CONTAINERS = 16
"""How many containers of a unit are compared; pods with more of them are not."""

MAX_IMAGES = 4
"""How many images one container may have at the start: one, or one for each architecture of a mixed cluster."""


@dataclass(frozen=True, slots=True)
class PodImages:
    """One ready pod: the digest of the image by container; "" where its node does not report one."""

    pod: str
    images: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ImagesSeen:
    """What was seen behind the backend of the unit with this digest.

    `pods`: its ready pods, as far as they could be read. `partial`: why some of what is ready is not among them.
    `unknown`: why nothing can be told of any, where it cannot. `unread`: why reading failed, which may be over soon.
    """

    digest: str
    pods: tuple[PodImages, ...] = ()
    partial: str = ""
    unknown: str = ""
    unread: str = ""


@dataclass(frozen=True, slots=True)
class UnitImages:
    """The images that a unit is held to, by container, as they were when it was approved or first raised.

    `partial`: not all of what was ready then could be told, so nobody asks for all of it later.
    """

    digest: str
    containers: tuple[tuple[str, tuple[str, ...]], ...]
    partial: bool = False
