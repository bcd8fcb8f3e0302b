"""Plays one release after the other and watches each from outside until it has ended.

The only judge of the outcome is the status; the only witness of the traffic is the load generator. Rejected: waiting
with fixed pauses. A slow machine would see a different story.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from modelrelease.demo import story, wire
from modelrelease.demo.evidence import evidence_to_revert_s
from modelrelease.demo.picture import GateView, Note, Picture, gates_of, stage_index, waiting_for, with_stop
from modelrelease.demo.result import Result
from modelrelease.demo.setting import Setting
from modelrelease.demo.story import Chapter, Outcome
from modelrelease.demo.times import seconds
from modelrelease.sandbox.errors import SandboxError
from modelrelease.sandbox.kube import Json
from modelrelease.sandbox.load import Sample

POLL_S = 0.25
WINDOW_S = 5.0
AFTERWARDS_S = 3.0
CHAPTER_TIMEOUT_S = 240.0


class Player:
    """Plays chapters in one setting. `show` is called with a new picture a few times a second."""

    def __init__(self, setting: Setting, show: Callable[[Picture], None], *, began_s: float) -> None:
        self._setting, self._scene, self._show = setting, setting.scene, show
        self._began_s = began_s
        self._notes: list[Note] = []
        self._stage = -1
        self._gates: tuple[GateView, ...] = ()
        self._records_seen = int((setting.scene.status().get("record") or {}).get("sequence", 0))

    def play(self, chapter: Chapter) -> Result:
        """Release the chapter's version and return how it ended."""
        self._note(f"{chapter.version} is applied: {chapter.title}")
        since_s, self._stage, self._gates = time.time(), -1, ()
        self._scene.release(chapter.version, **story.spec_of(chapter))
        status = self._watch(chapter, since_s)
        if chapter.fails_in:
            self._scene.models[chapter.served_by].set_behaviour(failure_fraction=0.0)
        return self._result(chapter, outcome_of(status, chapter.version), status, self._samples(since_s))

    def _watch(self, chapter: Chapter, since_s: float) -> Json:
        """Look on until the release has ended, and a little longer; return the last status."""
        deadline = since_s + CHAPTER_TIMEOUT_S
        ended_s: float | None = None
        failing = False
        while True:
            now, status = time.time(), self._scene.status()
            if ended_s is None and outcome_of(status, chapter.version) is not None:
                ended_s = now
            if not failing and _breaks_now(chapter, status, now):
                failing = True
                self._scene.models[chapter.served_by].set_behaviour(failure_fraction=story.FAILURE_FRACTION)
                self._note(f"{chapter.version} breaks: half of its answers are 500s from now on", bad=True)
            if not self._setting.operator.running:
                raise SandboxError(
                    f"the operator ended by itself; its last words:\n{self._setting.operator.log_tail()}"
                )
            self._read_records(status)
            self._show(self._picture(chapter, status, since_s, now))
            if now > deadline or (ended_s is not None and now > ended_s + AFTERWARDS_S):
                return status
            time.sleep(POLL_S)

    def _picture(self, chapter: Chapter, status: Json, since_s: float, now: float) -> Picture:
        """The picture of a moment just before the status was read: what was sent later may already be in the next."""
        samples = [each for each in self._samples(since_s) if each.sent_at_s <= now]
        stage = status.get("stage") or {}
        ended = outcome_of(status, chapter.version)
        if (status.get("candidate") or {}).get("version") == chapter.version and ended is None:
            self._stage = stage_index(status)
            self._gates = gates_of(status) or self._gates
        if ended is Outcome.REVERTED:
            self._gates = with_stop(self._gates, status["stop"])
        return Picture(
            chapter,
            began_s=self._began_s,
            at_s=now - self._began_s,
            state=status.get("state", ""),
            stable=(status.get("stable") or {}).get("version", ""),
            stage=self._stage,
            stage_s=now - seconds(stage["since"]) if stage.get("since") else 0.0,
            ended=ended,
            waiting=waiting_for(status),
            seen=wire.tally((each for each in samples if each.sent_at_s > now - WINDOW_S), chapter.version),
            candidate=wire.quality(samples, self._setting.labels, chapter.version),
            others=wire.quality(samples, self._setting.labels, besides=chapter.version),
            errors=sum(map(wire.failed, samples)),
            gates=self._gates,
            notes=tuple(self._notes),
        )

    def _read_records(self, status: Json) -> None:
        newest = int((status.get("record") or {}).get("sequence", 0))
        if newest <= self._records_seen:
            return
        for each in self._scene.records():
            if each["sequence"] > self._records_seen:
                bad = each["kind"] in ("Reverted", "Aborted")
                at_s = seconds(each["body"]["at"]) - self._began_s
                self._notes.append(Note(at_s, f"{each['kind']}: {each['body']['message']}", bad))
        self._records_seen = newest

    def _note(self, text: str, *, bad: bool = False) -> None:
        self._notes.append(Note(time.time() - self._began_s, text, bad))

    def _samples(self, since_s: float) -> list[Sample]:
        """What was sent since then."""
        return [each for each in self._setting.load.samples if each.sent_at_s >= since_s]

    def _result(self, chapter: Chapter, outcome: Outcome | None, status: Json, samples: Sequence[Sample]) -> Result:
        version = chapter.version
        records = [each for each in self._scene.records() if _is_about(each, version)]
        reverted: Json = next((each["body"] for each in reversed(records) if each["kind"] == "Reverted"), {})
        lag = None
        if outcome is Outcome.REVERTED:
            lag = evidence_to_revert_s(
                self._scene.sandbox.prometheus_url,
                self._failures(chapter, status),
                version=version,
                samples=samples,
                reverted=reverted,
            )
        plateaus = wire.plateaus(samples, version)
        pilot = wire.tally((each for each in samples if each.sent_at_s < _pilot_ended_s(records)), version)
        return Result(
            chapter,
            outcome,
            weights_percent=tuple(wire.weights(plateaus, story.INTENDED_PERCENT)),
            realised_percent=tuple(plateau.tally.percent for plateau in plateaus),
            evidence_to_revert_s=lag,
            errors_served=sum(map(wire.failed, samples)),
            reason=_reason(status, version) or waiting_for(status),
            pilot_low=pilot.low_candidate,
            pilot_others=pilot.rest_candidate,
            wrong_percent=wire.quality(samples, self._setting.labels, version).wrong_percent,
            stable_wrong_percent=wire.quality(samples, self._setting.labels, besides=version).wrong_percent,
        )

    def _failures(self, chapter: Chapter, status: Json) -> str:
        """What counts a candidate's failed answers: the gateway, or its server where both arms share a Service."""
        if chapter.is_prompt_alone:
            return f'model_requests_total{{release="{status["candidate"]["revision"]}",code=~"5.."}}'
        service = f"{self._scene.namespace}-{self._scene.name}-{chapter.served_by}"
        return f'traefik_service_requests_total{{service=~".+-svc-{service}-[0-9]+@.+",code=~"5.."}}'


def outcome_of(status: Json, version: str) -> Outcome | None:
    """How the version ended, as the status tells it; None while it is under way."""
    if status.get("state") in ("Settled", "Watching") and (status.get("stable") or {}).get("version") == version:
        return Outcome.COMPLETED
    if status.get("state") == "Stopped" and (status.get("stop") or {}).get("version") == version:
        return Outcome.REVERTED
    return None


def _breaks_now(chapter: Chapter, status: Json, now: float) -> bool:
    """Whether the version has been for a while in the stage in which it is to fail."""
    stage = status.get("stage") or {}
    here = (status.get("candidate") or {}).get("version") == chapter.version and stage.get("name") == chapter.fails_in
    return here and now - seconds(stage["since"]) >= story.FAILS_AFTER_S


def _is_about(record: Json, version: str) -> bool:
    return any((record["body"].get(role) or {}).get("version") == version for role in ("candidate", "stopped", "unit"))


def _pilot_ended_s(records: Sequence[Json]) -> float:
    """When the second stage was decided, which is before the route was told; the end of time when it never was."""
    second = story.STAGES[1]["name"]
    raised = [each["body"] for each in records if each["kind"] == "Raised" and each["body"].get("stage") == second]
    return seconds(raised[0]["at"]) if raised else float("inf")


def _reason(status: Json, version: str) -> str:
    stop = status.get("stop") or {}
    if stop.get("version") == version:
        return str(stop["message"])
    found = [each["message"] for each in status.get("outcomes") or [] if each["version"] == version]
    return str(found[0]) if found else ""
