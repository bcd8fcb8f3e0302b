"""Approval rules of a release and its tiers: the matrix in force asks everybody whom either asks."""

from hypothesis import given
from hypothesis import strategies as st

from modelrelease.api.convert_policy import PolicyObject, policy_of
from modelrelease.api.release_approvals import NO_LIMIT_S
from modelrelease.api.releasepolicy import ReleasePolicySpec
from modelrelease.domain.approval import ApprovalRole, ApprovalRules, AtWindowEnd, GitOpsAccount
from modelrelease.domain.plan import Plan
from modelrelease.domain.policy import Demands, Policy
from modelrelease.domain.tier import Tier
from modelrelease.governance.approval_merge import merged
from modelrelease.governance.approvals import asked_roles, demands, evidence_digest, tighter
from modelrelease.governance.differences import differences, tightened
from modelrelease.governance.effective import effective
from tests.governance.builders import declared, full, policy, stage

STAGES = (stage("pilot", 10), stage("broad", 200), full())

roles = st.builds(
    ApprovalRole,
    st.sampled_from(["risk", "owner", "platform"]),
    st.lists(st.sampled_from(["pilot", "broad", "full"]), max_size=2, unique=True).map(tuple),
)
finals = st.builds(ApprovalRole, st.sampled_from(["owner", "board"]), st.just(()), st.just(True))
rules = st.builds(
    lambda asked, final, **more: ApprovalRules(roles=(*asked, *([final] if final else [])), **more),
    st.lists(roles, max_size=3, unique=True),
    st.none() | finals,
    four_eyes=st.booleans(),
    valid_for_s=st.sampled_from([60, 3600, NO_LIMIT_S]),
    window_s=st.none() | st.sampled_from([60, 3600]),
    at_window_end=st.sampled_from(AtWindowEnd),
)


def asked(matrix: ApprovalRules) -> set[tuple[str, str, str | None]]:
    """Before which stage which role is asked about what."""
    plan = Plan(STAGES, approvals=matrix)
    return {
        (each.name, demand.role, demand.stage) for index, each in enumerate(STAGES) for demand in demands(plan, index)
    }


@given(rules, st.lists(rules, max_size=3))
def test_the_matrix_in_force_asks_everybody_whom_the_release_or_a_tier_asks(own, tiers):
    both, clash = merged(own, *tiers, full="full")
    for each in (own, *tiers):
        assert asked(each) <= asked(both)
        assert both.four_eyes >= each.four_eyes and both.valid_for_s <= each.valid_for_s
        assert each.window_s is None or (both.window_s is not None and both.window_s <= each.window_s)
    assert len([role for role in both.roles if role.accountable]) <= 1
    highest = next((each.accountable for each in tiers if each.accountable), None)
    if highest is not None:
        assert both.accountable is not None and both.accountable.name == highest.name
    assert clash is not None or not both.roles or both.accountable is not None


@given(rules, rules)
def test_what_applies_in_mid_rollout_asks_at_least_whom_the_plan_before_asked(old, new):
    before, after = Plan(STAGES, approvals=old), Plan(STAGES, approvals=new)
    found = tightened(before, after, entered=0).approvals
    assert asked(old) <= asked(found)
    assert found.valid_for_s <= old.valid_for_s and found.four_eyes >= old.four_eyes
    assert tighter(found, old) or found.accountable != old.accountable


def of_tier(**approvals) -> Policy:
    content = {"tiers": {"high": {"approvals": approvals}}}
    found = policy_of(PolicyObject("strict", ReleasePolicySpec.model_validate(content), "sha256:p"), {})
    assert isinstance(found, Policy), found
    return found


def test_a_tier_says_who_must_approve_and_who_has_the_last_word():
    strict = of_tier(
        roles=[{"name": "risk"}, {"name": "board", "accountable": True}],
        fourEyes=True,
        window={"length": "1h", "atEnd": "Reject"},
        gitOps=[{"username": "argo", "authorAnnotation": "example.com/author"}],
    )
    plan, faults = effective(declared(*STAGES), strict, Tier.HIGH)
    assert faults == ()
    assert [demand.role for demand in demands(plan, 0)] == ["risk"]
    assert [(demand.role, demand.accountable) for demand in demands(plan, 2)] == [("board", True)]
    assert plan.approvals.four_eyes and plan.approvals.window_s == 3600
    assert plan.approvals.at_window_end is AtWindowEnd.REJECT
    assert plan.approvals.git_ops == (GitOpsAccount("argo", "example.com/author"),)
    assert effective(declared(*STAGES), strict, Tier.LOW)[0].approvals == ApprovalRules()
    assert "approvals are stricter" in differences(Plan(STAGES), plan)


def test_a_release_cannot_take_the_last_word_from_its_tier():
    theirs = ApprovalRules(roles=(ApprovalRole("board", accountable=True),))
    own = ApprovalRules(roles=(ApprovalRole("intern", accountable=True),))
    release = declared(*STAGES)
    plan = Plan(STAGES, release.plan.gates, watch_s=release.plan.watch_s, approvals=own)
    asking = type(release)(plan, release.segments, release.stages, release.own_watch)
    found, faults = effective(asking, policy(Demands(Tier.HIGH, approvals=theirs)), Tier.HIGH)
    assert "board has the last word there; make it accountable and not intern" in faults[0].message
    assert found.approvals.accountable == theirs.accountable
    assert set(asked_roles(found)) == {"board", "intern"}


def test_a_role_that_would_never_be_asked_is_told():
    own = ApprovalRules(roles=(ApprovalRole("risk", ("gone",)), ApprovalRole("owner", accountable=True)))
    release = declared(*STAGES)
    asking = type(release)(Plan(STAGES, approvals=own), release.segments, release.stages, release.own_watch)
    _, faults = effective(asking, policy(), Tier.LOW)
    assert [fault.message for fault in faults] == [
        "spec.approvals.roles (risk): there is no stage gone on the path that tier Low of ReleasePolicy strict gives; "
        "the stages are pilot, broad, full"
    ]


def test_the_digest_of_what_is_shown_knows_no_order():
    one = evidence_digest([("a", "1"), ("b", "2")], ["errors", "cost"])
    assert one == evidence_digest([("b", "2"), ("a", "1"), ("a", "1")], ["cost", "errors"])
    assert one != evidence_digest([("a", "1")], ["errors", "cost"]) != evidence_digest([("a", "2")], ["errors", "cost"])
