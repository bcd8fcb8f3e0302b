"""Approval rules of a release and of its tiers as one matrix: a release can ask for more, never for less."""

from collections.abc import Sequence
from dataclasses import replace

from modelrelease.domain.approval import ApprovalRole, ApprovalRules, AtWindowEnd


def merged(own: ApprovalRules, *tiers: ApprovalRules, full: str) -> tuple[ApprovalRules, str | None]:
    """The matrix in force, and what of the release's own contradicts its tiers (the highest comes first).

    `full` names the first stage with all traffic, before which the accountable role is asked at the latest. Where
    several name different accountable roles the highest tier's decides last, and the others are asked beside it.
    """
    rules = (own, *tiers)
    final, clash = _accountable(own, tiers, full)
    windows = [each.window_s for each in rules if each.window_s is not None]
    rejects = any(each.window_s is not None and each.at_window_end is AtWindowEnd.REJECT for each in rules)
    others = [role for each in rules for role in each.roles if not role.accountable]
    words = [each.accountable for each in rules if each.accountable]
    others += [
        replace(role, stages=role.stages or (full,), accountable=False)
        for role in words
        if final is not None and role.name != final.name
    ]
    found = ApprovalRules(
        roles=tuple(dict.fromkeys((*others, *([final] if final else [])))),
        four_eyes=any(each.four_eyes for each in rules),
        valid_for_s=min(each.valid_for_s for each in rules),
        window_s=min(windows, default=None),
        at_window_end=AtWindowEnd.REJECT if rejects else AtWindowEnd.HOLD,
        notify=_union([each.notify for each in rules]),
        look_at=_union([each.look_at for each in rules]),
        git_ops=tuple(dict.fromkeys(account for each in tiers for account in each.git_ops)),
    )
    if found.roles and final is None:
        clash = "nobody has the last word; write accountable: true at one role"
    return found, clash


def _accountable(
    own: ApprovalRules, tiers: Sequence[ApprovalRules], full: str
) -> tuple[ApprovalRole | None, str | None]:
    theirs = next((rules.accountable for rules in tiers if rules.accountable), None)
    mine = own.accountable
    if theirs is None or mine is None:
        return theirs or mine, None
    if theirs.name != mine.name:
        return theirs, f"{theirs.name} has the last word there; make it accountable and not {mine.name}"
    return replace(mine, stages=tuple(dict.fromkeys((*mine.stages, full))) if mine.stages else ()), None


def _union(lines: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line for each in lines for line in each))
