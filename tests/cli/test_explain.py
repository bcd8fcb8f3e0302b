"""`modelrelease explain` on constructed releases and records: sentences, numbers, curves, and what does not fit."""

import json
import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer

from modelrelease.api.convert import record_manifest
from modelrelease.api.status import gates_for_status
from modelrelease.cli import charts, explain_text
from modelrelease.cli.rejudging import Rejudged
from modelrelease.cli.story import Story, story_of
from modelrelease.domain.gate import AgainstStable, Gate, Scope
from modelrelease.domain.record import GENESIS, Record, RecordKind
from modelrelease.domain.verdict import Outcome
from modelrelease.engine.records import verdict_body
from modelrelease.gates import workings
from modelrelease.gates.curve import curves_of
from modelrelease.gates.workings import Account, packed, unpacked
from tests.gates.builders import SETTINGS, T0, TICK_S, VALUE, evidence, gate, stratum, under

Json = dict[str, Any]
TICKS = 60
AT = T0 + timedelta(seconds=TICKS * TICK_S)
WORSE = gate(rule=AgainstStable("1.5", None, "0.001"))
EQUAL = replace(gate(rule=under("0.2")), name="absolute")
EACH = replace(gate(rule=under("0.5"), scope=Scope.SEGMENT), name="each")


def account(of: Gate, bad: int, ticks: int = TICKS) -> Account:
    found = Account.open(of, SETTINGS)
    for tick in range(ticks):
        segments = ("low", "*") if of.scope is Scope.SEGMENT else (None,)
        found.fold(evidence(*(stratum(tick, (20, bad), (80, 1), segment) for segment in segments)))
    return found


ACCOUNTS = (account(WORSE, 2), account(EQUAL, 2), account(EACH, 2))


def record(number: int = 7, *, accounts: tuple[Account, ...] = ACCOUNTS, kind=RecordKind.REVERTED, **body: Any) -> Json:
    verdicts = [verdict for one in accounts for verdict in one.verdicts(at=AT, settings=SETTINGS)]
    workings = packed({"Stage": [one.written(at=AT, settings=SETTINGS) for one in accounts]}) if accounts else None
    content = {
        "at": "2026-03-01T12:05:00.000000Z",
        "message": "gate errors: too many",
        "gate": "errors",
        "verdicts": verdict_body(verdicts),
        "workings": workings,
        **body,
    }
    content = {key: value for key, value in content.items() if value is not None}
    return record_manifest(Record(number, GENESIS, kind, content), namespace="assistants", release="chat", uid="u")


def release(accounts: tuple[Account, ...] = ACCOUNTS, state: str = "Observing") -> Json:
    verdicts = [verdict for one in accounts for verdict in one.verdicts(at=AT, settings=SETTINGS)]
    status = {"state": state, "stage": {"name": "broad"}, "weight": "20 %", "gates": gates_for_status(verdicts)}
    return {"metadata": {"name": "chat", "namespace": "assistants"}, "status": status}


def story(obj: Json | None, *records: Json, **how: Any) -> Story:
    return story_of(obj, records, name="chat", namespace="assistants", **how)


def text(found: Story, columns: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    return explain_text.as_text(found)


@pytest.mark.parametrize("columns", [80, 120])
def test_sentence_numbers_and_curve_are_shown_and_fit(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    said = text(story(release(), record()), columns, monkeypatch)
    assert max(map(len, said.splitlines())) <= columns
    flat = " ".join(said.split())
    assert flat.startswith("assistants/chat: Observing at broad, 20 %")
    assert "Revert errors: 120 of 1,200 on the candidate against 60 of 4,800 on stable; rate ratio at least" in flat
    assert "candidate 120 of 1,200 (0.1); stable 60 of 4,800 (0.0125)" in flat
    assert "reverts at E = 100: it was 10^" in flat
    assert "record 7, 2026-03-01T12:05:00Z, Reverted: gate errors: too many" in flat
    assert "recomputed from the record: the same" in flat
    assert "errors: evidence for a revert, log10 E; at 2.00 (the straight line) it is enough" in flat
    assert "12:00:00" in said and any("\u2800" < char <= "\u28ff" for char in said), "there is a curve"


def test_it_says_how_stable_s_bad_events_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    known = release()
    known["status"]["habits"] = [
        {"gate": "errors", "windowSeconds": 89, "phi": "4.25"},
        {"gate": "absolute", "windowSeconds": 0, "phi": "1.02"},
    ]
    flat = " ".join(text(story(known), 80, monkeypatch).split())
    assert (
        "errors: before the release stable's bad events came together over up to 89 s, 4.25 times as noisy as "
        "independent ones: arms are compared in windows of 89 s" in flat
    )
    assert "absolute: before the release stable's bad events kept to one scrape: each scrape is judged" in flat
    only = story(known, gate="errors")
    assert [item["gate"] for item in explain_text.as_data(only)["habits"]] == ["errors"]
    assert explain_text.as_data(story(release()))["habits"] == []


def test_the_data_holds_every_curve_with_its_thresholds() -> None:
    found = explain_text.as_data(story(release(), record()))
    assert json.loads(json.dumps(found)) == found
    assert found["record"]["same"] is True
    assert [(curve["gate"], curve["segment"]) for curve in found["record"]["curves"]] == [
        ("errors", None),
        ("absolute", None),
        ("each", "*"),
        ("each", "low"),
    ]
    curve = found["record"]["curves"][0]
    assert curve["threshold"] == pytest.approx(math.log(100))
    assert len(curve["points"]) == TICKS + 1
    assert curve["points"][0] == {"at": "2026-03-01T12:00:00Z", "logRevert": 0.0, "logPass": 0.0, "events": 0.0}
    assert [point["events"] for point in curve["points"][-2:]] == [1180.0, 1200.0]


def test_the_curve_ends_where_the_verdict_stands() -> None:
    of = account(WORSE, 2)
    (curve,) = curves_of(unpacked(record()["spec"]["body"]["workings"])["Stage"][0])
    numbers = dict(of.verdicts(at=AT, settings=SETTINGS)[0].numbers)
    assert max(point.log_revert for point in curve.points) == pytest.approx(numbers["log_e"])
    assert curve.points[-1].log_pass == pytest.approx(numbers["log_e_pass"])


def test_a_value_has_no_curve() -> None:
    of = Account.open(gate(VALUE, under("0.3")), SETTINGS)
    of.fold(evidence(value=0.1, newest=AT))
    assert curves_of(of.written(at=AT, settings=SETTINGS)) == ()
    found = story(release((of,)), record(accounts=(of,)))
    assert found.record is not None and found.record.telling is None
    assert not found.record.again.differs


def test_a_long_history_shows_what_its_strata_reach_back_to() -> None:
    of = account(WORSE, 1, ticks=1200)
    (curve,) = curves_of(of.written(at=AT, settings=SETTINGS))
    assert 250 <= len(curve.points) <= 501
    assert curve.points[0].events > 0


@pytest.mark.parametrize(
    ("gate_", "keys"), [("errors", ["errors"]), ("each/low", ["each/low"]), ("each", ["each/*", "each/low"])]
)
def test_one_gate_can_be_asked_for(gate_: str, keys: list[str]) -> None:
    found = story(release(), record(), gate=gate_)
    assert ["/".join(filter(None, (item["name"], item.get("segment")))) for item in found.now] == keys
    assert found.record is not None
    assert [curve.key for curve in found.record.curves] == keys or set(keys) <= {c.key for c in found.record.curves}


def test_the_passing_gate_is_drawn_against_its_own_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    said = text(story(release(), record(), gate="absolute"), 100, monkeypatch)
    assert "absolute: evidence for a pass, log10 E; at 1.30" in said


def test_the_newest_judged_record_is_taken_unless_one_is_named() -> None:
    older, newer, plain = record(5), record(6), record(7, accounts=(), kind=RecordKind.PAUSED, gate=None)
    found = story(release(), older, newer, plain)
    assert found.record is not None and found.record.spec["sequence"] == 6
    named = story(release(), older, newer, plain, number=5)
    assert named.record is not None and named.record.spec["sequence"] == 5
    assert named.now == ()


def test_before_the_first_record_the_status_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said = text(story(release()), 100, monkeypatch)
    assert "Revert    errors: 120 of 1,200" in said
    assert "no record of chat holds the evidence of a gate with an E-value yet" in said


def test_why_a_release_waits_is_said_first(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    held = {"type": "Ready", "status": "Unknown", "reason": "EntryEvidenceMissing", "message": "submit its results"}
    waiting = release(state="Preparing")
    waiting["status"]["conditions"] = [held]
    assert text(story(waiting), 100, monkeypatch).splitlines()[1] == "  EntryEvidenceMissing: submit its results"
    assert explain_text.as_data(story(waiting))["waiting"] == "EntryEvidenceMissing: submit its results"
    with pytest.raises(typer.Exit):
        story({**waiting, "status": {"state": "New", "conditions": [held]}})
    assert "measured; now EntryEvidenceMissing: submit its results" in capsys.readouterr().err
    waiting["status"]["conditions"] = [{**held, "status": "True"}]
    assert "EntryEvidenceMissing" not in text(story(waiting), 100, monkeypatch)


def test_an_altered_verdict_is_found() -> None:
    altered = record()
    altered["spec"]["body"]["verdicts"][0]["outcome"] = Outcome.PASS.value
    found = story(None, altered, verify=True)
    assert found.record is not None
    assert any("has hash" in each for each in found.record.again.differs)
    assert "errors: recorded Pass, recomputed Revert" in found.record.again.differs
    assert [number for number, _, again in found.checked if again.differs] == [7]
    rewritten = record(verdicts=altered["spec"]["body"]["verdicts"])
    assert story(None, rewritten).record.again.differs == ("errors: recorded Pass, recomputed Revert",)  # type: ignore[union-attr]


def test_altered_numbers_are_found() -> None:
    verdicts = record()["spec"]["body"]["verdicts"]
    verdicts[0]["numbers"]["log_e"] = repr(float(verdicts[0]["numbers"]["log_e"]) * (1 + 1e-6))
    (differs,) = story(None, record(verdicts=verdicts)).record.again.differs  # type: ignore[union-attr]
    assert differs.startswith("errors: number log_e: recorded ")


def test_all_judged_records_are_verified() -> None:
    found = story(release(), record(5, kind=RecordKind.RAISED), record(6), verify=True)
    assert found.checked == ((5, "Raised", Rejudged()), (6, "Reverted", Rejudged()))


def test_workings_that_cannot_be_read_are_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    found = story(release(), record(workings="nonsense"))
    assert found.record is not None
    assert "its workings cannot be read" in found.record.again.differs[-1]
    assert "recomputed from the record: not the same" in text(found, 100, monkeypatch)


def test_what_an_older_judge_judged_is_not_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = record()
    monkeypatch.setattr(workings, "JUDGE", workings.JUDGE + 1)
    found = story(release(), kept, verify=True)
    assert found.record is not None
    assert not found.record.again.differs
    said = " ".join(text(found, 100, monkeypatch).split())
    assert f"judged by version {workings.JUDGE - 1} of the judge: this program has version {workings.JUDGE}" in said
    assert "recomputed from the record: not possible" in said and "not judged again:" in said
    assert explain_text.as_data(found)["record"]["same"] is False


@pytest.mark.parametrize(
    ("obj", "records", "how", "said", "code"),
    [
        (release(), [record()], {"gate": "nope"}, "no verdict of a gate nope: it has errors, absolute", 1),
        (release(), [record()], {"number": 3}, "has no record 3: its records go from 1 to 7", 3),
        (release(), [], {"number": 3}, "has no record 3: it has none yet", 3),
        (release(()), [], {}, "has not been judged yet", 1),
        (
            release(),
            [record(4, accounts=(), kind=RecordKind.PAUSED), record(5)],
            {"number": 4},
            "record 4 of assistants/chat (Paused) holds no evidence; records that do: 5",
            1,
        ),
    ],
    ids=["gate", "record", "none", "not judged", "no evidence"],
)
def test_what_is_not_there_is_said_in_a_sentence(
    obj: Json, records: list[Json], how: Json, said: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        story(obj, *records, **how)
    assert ended.value.exit_code == code
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_a_chart_can_be_kept(tmp_path: Path, suffix: str) -> None:
    found = story(release(), record())
    assert found.record is not None
    file = tmp_path / f"evidence.{suffix}"
    charts.check(file)
    charts.save(found.record.curves, file, title="assistants/chat, record 7")
    start = file.read_bytes()[:200]
    assert (b"<svg" in file.read_bytes() or b"<?xml" in start) if suffix == "svg" else start.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("file", "said", "code"),
    [("evidence.gif", "ends in .svg or .png", 2), ("no-such-folder/evidence.svg", "there is no folder", 1)],
)
def test_a_chart_that_cannot_be_written_is_said_first(
    file: str, said: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        charts.check(Path(file))
    assert ended.value.exit_code == code
    assert said in capsys.readouterr().err


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(typer.Exit):
        charts.check(tmp_path / "x.svg")
    assert "pip install 'modelrelease[charts]'" in capsys.readouterr().err
