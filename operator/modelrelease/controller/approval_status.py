"""`status.approval`: the open questions to people, as the engine asks them."""

from typing import Any

from modelrelease.api.quantities import time_text
from modelrelease.domain.approval import ApprovalRules
from modelrelease.engine.approving import Request, request_of, subject_of
from modelrelease.engine.case import Case


def approvals_for_status(case: Case) -> dict[str, Any]:
    """`evidenceDigest` while there is a candidate, and `approval` while somebody is asked."""
    subject, plan = subject_of(case), case.plan
    if subject is None or plan is None:
        return {}
    shown = approval_status(request_of(case), plan.approvals, index=case.progress.stage + 1)
    return {"evidenceDigest": subject.evidence_digest, **({"approval": shown} if shown else {})}


def approval_status(request: Request | None, rules: ApprovalRules, *, index: int) -> dict[str, Any] | None:
    """The request as people read it; None where nobody is asked. `index`: the number of the stage that waits."""
    if request is None:
        return None
    asked = []
    for answer in request.answers:
        demand, approval = answer.demand, answer.approval
        said = {"approvedBy": approval.author, "approvedAt": time_text(approval.created_at)} if approval else {}
        place = {"stage": demand.stage} if demand.stage else {}
        asked.append({"role": demand.role, **place, **({"accountable": True} if demand.accountable else {}), **said})
    shown = {
        "stage": request.stage,
        "index": index,
        "since": time_text(request.since) if request.since else None,
        "until": time_text(request.until) if request.until else None,
        "atEnd": rules.at_window_end.value if request.until else None,
        "asked": asked,
        "secondPerson": True if request.second else None,
        "notify": list(rules.notify) or None,
        "lookAt": list(rules.look_at) or None,
    }
    return {name: value for name, value in shown.items() if value is not None}
