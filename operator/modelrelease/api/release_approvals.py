"""`spec.approvals` of a ModelRelease: who must say yes, who has the last word, and for how long a yes counts.

What is left out gets its default in `approvals_of` and not in the CRD, because a policy may later say otherwise.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import ConfigDict, Field

from modelrelease.api.base import Duration, Name, SpecModel, atomic, map_by, rule, rules, unique
from modelrelease.api.faults import fault
from modelrelease.api.quantities import seconds_of
from modelrelease.domain.approval import (
    DEFAULT_VALID_FOR_S,
    ApprovalRole,
    ApprovalRules,
    AtWindowEnd,
    GitOpsAccount,
)
from modelrelease.domain.plan import Stage
from modelrelease.domain.release import Fault

MAX_ROLES = 16

Line = Annotated[str, Field(min_length=1, max_length=256)]


Lines = Annotated[list[Line], Field(max_length=16, json_schema_extra=atomic())]

NO_LIMIT_S = 10 * 365 * 24 * 3600
"""For how long an approval counts as far as a tier is concerned that says nothing about it."""


class ApprovalRoleSpec(SpecModel):
    """One role that must approve."""

    name: Name = Field(description="The role. RBAC grants it: verb approve on modelreleases/<role>.")
    stages: (
        Annotated[list[Name], Field(min_length=1, max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"})]
        | None
    ) = Field(
        None,
        description="Stages before which it is asked, each time anew. Left out: once for the whole release, before its "
        "first stage; the accountable role instead before the first stage with 100 percent of everything.",
    )
    accountable: bool = Field(
        False,
        description="This role gives the final go or no-go: its approval counts only when it was said after all others "
        "for that stage. Exactly one role is accountable.",
    )


_VALID_FOR = rule(
    "!has(self.validFor) || self.validFor.matches('[1-9]')",
    'an approval that counts for no time never counts: write how long it counts, such as "72h"',
    field=".validFor",
)


class ApprovalWindowSpec(SpecModel):
    """How long people are waited for."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "self.length.matches('[1-9]')",
                'a window of no time is over before anybody can answer: write how long people have, such as "48h"',
                field=".length",
            )
        )
    )

    length: Duration = Field(description="How long, from the moment when nothing but approvals is missing.")
    at_end: AtWindowEnd = Field(
        AtWindowEnd.HOLD,
        description="What happens when it is over and somebody has not answered: Hold goes on waiting and says so; "
        "Reject stops the candidate, as a Reject by a person does.",
    )


class TierRoleSpec(SpecModel):
    """One role that a tier asks."""

    name: Name = Field(description="The role. RBAC grants it: verb approve on modelreleases/<role>.")
    accountable: bool = Field(
        False, description="This role gives the final go or no-go, before the first stage with 100 percent."
    )


class GitOpsAccountSpec(SpecModel):
    """An account that applies what others wrote."""

    username: Annotated[str, Field(min_length=1, max_length=512)] = Field(
        description="Its user name, such as system:serviceaccount:argocd:argocd-application-controller."
    )
    author_annotation: Annotated[str, Field(min_length=1, max_length=317)] | None = Field(
        None,
        description="Annotation of the ModelRelease in which it says who wrote the change. Trust it only where nobody "
        "else can write it. Left out: nobody knows, and two different people must approve.",
    )


class TierApprovalsSpec(SpecModel):
    """What a tier asks of approvals."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.roles) || self.roles.filter(r, has(r.accountable) && r.accountable).size() <= 1",
                "one role at most has the last word: write accountable: true at one only",
                field=".roles",
            ),
            _VALID_FOR,
        )
    )

    roles: (
        Annotated[
            list[TierRoleSpec],
            Field(max_length=MAX_ROLES, json_schema_extra=map_by("name", checks=(unique("name", "roles"),))),
        ]
        | None
    ) = Field(
        None,
        description="Who must approve, once for the whole release before its first stage; the accountable role before "
        "the first stage with 100 percent. For single stages write approvals at the tier's stages.",
    )
    four_eyes: bool | None = Field(None, description="Nobody approves a release that they changed. Default false.")
    valid_for: Duration | None = Field(None, description="How long an approval counts at most.")
    window: ApprovalWindowSpec | None = Field(None, description="How long people are waited for at most.")
    notify: Lines | None = Field(None, description="People and groups whom the request names.")
    look_at: Lines | None = Field(None, description="What approvers should look at before they say yes.")
    git_ops: (
        Annotated[
            list[GitOpsAccountSpec],
            Field(max_length=16, json_schema_extra=map_by("username", checks=(unique("username", "accounts"),))),
        ]
        | None
    ) = Field(None, description="Accounts that apply what others wrote, for four eyes.")


class ApprovalsSpec(SpecModel):
    """The approval matrix."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.roles) || size(self.roles) == 0 || "
                "self.roles.filter(r, has(r.accountable) && r.accountable).size() == 1",
                "exactly one role gives the final go or no-go: write accountable: true at one of them",
                field=".roles",
            ),
            _VALID_FOR,
        )
    )

    roles: (
        Annotated[
            list[ApprovalRoleSpec],
            Field(max_length=MAX_ROLES, json_schema_extra=map_by("name", checks=(unique("name", "roles"),))),
        ]
        | None
    ) = Field(None, description="Who must approve, at most 16 roles. Stages can ask further roles of their own.")
    four_eyes: bool | None = Field(
        None,
        description="Nobody approves a release that they changed. Where who changed it is not known by name (a GitOps "
        "account, or a cluster that does not stamp it), two different people must approve. Default false.",
    )
    valid_for: Duration | None = Field(
        None, description="How long an approval counts from when it was said. Default 168h (7 days)."
    )
    window: ApprovalWindowSpec | None = Field(
        None, description="How long people are waited for. Left out: as long as it takes."
    )
    notify: Lines | None = Field(
        None, description="People and groups whom the request names, so that everybody sees who was asked."
    )
    look_at: Lines | None = Field(
        None, description="What approvers should look at before they say yes: sentences or addresses."
    )


def approvals_of(spec: ApprovalsSpec | None) -> ApprovalRules:
    """The rules with their defaults."""
    if spec is None:
        return ApprovalRules()
    return ApprovalRules(
        roles=tuple(ApprovalRole(one.name, tuple(one.stages or ()), one.accountable) for one in spec.roles or ()),
        four_eyes=bool(spec.four_eyes),
        valid_for_s=seconds_of(spec.valid_for) if spec.valid_for else DEFAULT_VALID_FOR_S,
        window_s=seconds_of(spec.window.length) if spec.window else None,
        at_window_end=spec.window.at_end if spec.window else AtWindowEnd.HOLD,
        notify=tuple(spec.notify or ()),
        look_at=tuple(spec.look_at or ()),
    )


def tier_approvals_of(spec: TierApprovalsSpec | None) -> ApprovalRules | None:
    """What a tier asks, None where it says nothing about approvals."""
    if spec is None:
        return None
    return ApprovalRules(
        roles=tuple(ApprovalRole(one.name, (), one.accountable) for one in spec.roles or ()),
        four_eyes=bool(spec.four_eyes),
        valid_for_s=seconds_of(spec.valid_for) if spec.valid_for else NO_LIMIT_S,
        window_s=seconds_of(spec.window.length) if spec.window else None,
        at_window_end=spec.window.at_end if spec.window else AtWindowEnd.HOLD,
        notify=tuple(spec.notify or ()),
        look_at=tuple(spec.look_at or ()),
        git_ops=tuple(GitOpsAccount(one.username, one.author_annotation) for one in spec.git_ops or ()),
    )


def approval_faults(spec: ApprovalsSpec | None, stages: Sequence[Stage]) -> Iterator[Fault]:
    """Roles that are asked before a stage that is not there, not exactly one that is accountable, times of nothing."""
    roles = (spec.roles if spec else None) or []
    for field, length in _times(spec):
        if not seconds_of(length):
            yield fault(
                f"spec.approvals.{field}", "it is no time at all, so no approval could count; write a longer one"
            )
    names = [stage.name for stage in stages]
    for index, role in enumerate(roles):
        for place, stage in enumerate(role.stages or ()):
            if stage not in names:
                yield fault(
                    f"spec.approvals.roles[{index}].stages[{place}]",
                    f"there is no stage {stage}; the stages are {', '.join(names)}",
                )
    if roles and sum(role.accountable for role in roles) != 1:
        yield fault("spec.approvals.roles", "exactly one role must be accountable; write accountable: true at one")


def _times(spec: ApprovalsSpec | None) -> Iterator[tuple[str, str]]:
    if spec and spec.valid_for:
        yield "validFor", spec.valid_for
    if spec and spec.window:
        yield "window.length", spec.window.length
