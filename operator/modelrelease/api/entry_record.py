"""Judging entry evidence again from a record alone: what it says was demanded and shown, and what follows from that."""

from collections.abc import Mapping
from typing import Any

from modelrelease.api.plain import from_plain
from modelrelease.api.quantities import time_of
from modelrelease.domain.entry import Entry, EntryVerdict
from modelrelease.domain.offline import OfflineEvidence, Suite
from modelrelease.domain.record import NotRejudged
from modelrelease.governance.entry import assess
from modelrelease.governance.standing import Subject


def judged_again(body: Mapping[str, Any]) -> tuple[EntryVerdict, ...]:
    """The entry verdicts that follow from a record's body. Raises ValueError or KeyError where it cannot be read."""
    said = body["entry"]
    stable = said.get("stable")
    return assess(
        from_plain(said["demands"], Entry, "entry.demands"),
        [from_plain(each["content"], OfflineEvidence, f"evidence {each['name']}") for each in said["evidence"]],
        subject=Subject(said["unit"], said["version"], Suite(*said["suite"]) if said.get("suite") else None),
        stable=Subject(stable["digest"], stable["version"]) if stable else None,
        now=time_of(body["at"]),
        doubts={each["uid"]: each["doubt"] for each in said["evidence"] if "doubt" in each},
    )


def entry_differences(body: Mapping[str, Any]) -> list[str]:
    """Where judging again gives something else than the record says; nothing where it says nothing of evidence.

    Raises NotRejudged where the evidence was too large to be kept, ValueError or KeyError where it cannot be read.
    """
    said = body.get("entry")
    if not said:
        return []
    if any("content" not in each for each in said["evidence"]):
        raise NotRejudged("entry evidence: too large to be kept in the record, so it cannot be judged again from it")
    found = {each.name: (each.outcome.value, each.sentence) for each in judged_again(body)}
    kept = {each["name"]: (each["outcome"], each["sentence"]) for each in said["verdicts"]}
    return [
        f"entry {name}: the record says {' '.join(kept.get(name, ('nothing',)))}, judging again gives "
        f"{' '.join(found.get(name, ('nothing',)))}"
        for name in dict.fromkeys((*kept, *found))
        if kept.get(name) != found.get(name)
    ]
