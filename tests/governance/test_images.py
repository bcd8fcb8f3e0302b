"""What runs behind a backend is compared by container and digest, and the sentence says what moved, and where."""

import pytest

from modelrelease.domain.images import MAX_CONTAINERS, MAX_IMAGES, ImagesSeen, PodImages, UnitImages
from modelrelease.governance.images import freeze, injected, moved, other_than, untold

ONE, TWO, THREE = (f"sha256:{digit * 64}" for digit in "123")
UNIT = "sha256:unit"


def pod(name: str = "chat-a", **images: str) -> PodImages:
    return PodImages(name, tuple(sorted(images.items())))


def seen(*pods: PodImages, **fields: str) -> ImagesSeen:
    return ImagesSeen(UNIT, pods, **fields)


def held(*pods: PodImages) -> UnitImages:
    frozen = freeze(seen(*pods))
    assert frozen is not None
    return frozen


def test_what_is_held_to_is_each_containers_image_over_all_pods():
    assert freeze(seen(pod(server=ONE, proxy=TWO), pod("chat-b", server=ONE, proxy=THREE))) == UnitImages(
        UNIT, (("proxy", (TWO, THREE)), ("server", (ONE,)))
    )


@pytest.mark.parametrize(
    "nothing",
    [
        seen(),
        seen(unknown="none of its ready endpoints is a pod"),
        seen(unread="the API server does not answer"),
        seen(pod(server="")),
        seen(pod(**{f"c{number}": ONE for number in range(MAX_CONTAINERS + 1)})),
        seen(*(pod(f"chat-{number}", server=f"sha256:{number:064x}") for number in range(MAX_IMAGES + 1))),
    ],
)
def test_what_cannot_be_told_or_kept_is_not_held_to(nothing):
    assert freeze(nothing) is None


def test_a_restart_with_the_same_images_has_not_moved():
    frozen = held(pod("chat-a", server=ONE), pod("chat-b", server=ONE))
    assert moved(frozen, seen(pod("chat-c", server=ONE), pod("chat-d", server=ONE), pod("chat-e", server=ONE))) is None
    assert moved(frozen, seen()) is None


def test_a_moved_image_is_told_with_container_pod_and_both_digests():
    said = moved(held(pod(server=ONE)), seen(pod("chat-a", server=ONE), pod("chat-b", server=TWO)))
    assert said == f"image of container server is now {TWO}, was {ONE}, on pod chat-b"


def test_of_several_the_first_pod_is_told_and_how_many_more():
    now = seen(pod("chat-c", server=TWO), pod("chat-b", server=TWO), pod("chat-d", server=ONE))
    said = moved(held(pod(server=ONE)), now)
    assert said is not None and said.endswith("on pod chat-b (and 1 more)")


def test_either_image_of_a_mixed_cluster_is_as_it_was_and_a_third_is_not():
    frozen = held(pod("chat-a", server=ONE), pod("chat-b", server=TWO))
    assert moved(frozen, seen(pod(server=TWO))) is None
    said = moved(frozen, seen(pod(server=THREE)))
    assert said is not None and f"was {ONE} or {TWO}" in said


def test_a_sidecar_beside_all_that_is_known_is_told_and_no_violation():
    frozen, now = held(pod(server=ONE)), seen(pod(server=ONE, proxy=TWO))
    assert moved(frozen, now) is None
    assert injected(frozen, now) == ("proxy",)


def test_a_container_in_the_place_of_a_known_one_is_a_violation():
    said = moved(held(pod(server=ONE, proxy=TWO)), seen(pod(other=THREE, proxy=TWO)))
    assert said == "container other takes the place of container server on pod chat-a"


def test_pods_of_two_kinds_behind_one_service_are_as_they_were():
    prefill, decode = pod("prefill-a", prefill=ONE), pod("decode-a", decode=TWO)
    frozen = held(prefill, decode)
    assert moved(frozen, seen(decode, prefill)) is None
    assert moved(frozen, seen(decode, pod("prefill-b", prefill=THREE))) is not None


def test_a_pod_without_a_reported_image_is_unknown_and_neither_good_nor_moved():
    frozen, now = held(pod(server=ONE)), seen(pod(server=ONE), pod("chat-b", server=""))
    assert moved(frozen, now) is None
    assert untold(now) == "the node of pod chat-b does not report its images"
    assert freeze(now) == UnitImages(UNIT, (("server", (ONE,)),), partial=True)


@pytest.mark.parametrize("field", ["partial", "unknown", "unread"])
def test_why_images_cannot_be_told_is_said(field):
    assert untold(seen(pod(server=ONE), **{field: "because"})) == "because"
    assert untold(seen(pod(server=ONE))) == ""


def test_every_pod_runs_a_container_of_the_declared_image_or_is_told():
    assert other_than(ONE, seen(pod(server=ONE, proxy=TWO))) is None
    said = other_than(ONE, seen(pod("chat-b", server=THREE), pod("chat-a", server=ONE)))
    assert said == f"no container of pod chat-b runs {ONE}; it runs {THREE} in container server"
    assert other_than(ONE, seen(pod(server=""))) is None
