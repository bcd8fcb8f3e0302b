"""`modelrelease audit verify` and `checkpoint` on files, as a risk person types them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner, Result

from modelrelease.cli.main import app
from modelrelease.domain.record import GENESIS, Record, RecordKind
from modelrelease.gates import workings
from modelrelease.gates.workings import Account, packed
from tests.engine.steps import records
from tests.engine.test_entry import GOOD, entering
from tests.gates.builders import SETTINGS, T0, evidence, gate, stratum
from tests.governance.test_chain import LINES, lines_of


def audit(*words: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, words)])


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"".join(LINES))
    return path


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "key.pem", tmp_path / "pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_a_right_export_says_so_and_what_nobody_has_signed(export: Path) -> None:
    result = audit("verify", export)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "unanchored: assistants/chat: records 1 to 6 are beyond the last checkpoint; nobody vouches for the end",
        "6 records of 1 release: every byte and every link is right",
    ]


def test_a_changed_export_is_wrong_with_line_and_code(export: Path) -> None:
    export.write_bytes(export.read_bytes().replace(b"3 says", b"3 sayz"))
    result = audit("verify", export)
    assert result.exit_code == 1
    assert "wrong: line 3: the content has hash" in result.output
    data = json.loads(audit("verify", export, "-o", "json").output)
    assert data["findings"][0]["line"] == 3


def test_a_checkpoint_vouches_for_what_was_there(export: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    book = tmp_path / "book.jsonl"
    export.write_bytes(b"".join(LINES[:4]))
    assert "4 records of 1 release" in audit("checkpoint", "--key", private, "-f", export, "--append", book).output
    export.write_bytes(b"".join(LINES))
    known = audit("verify", export, "--checkpoints", book, "--key", public)
    assert known.exit_code == 0
    assert "records 5 to 6 are beyond the last checkpoint" in known.output
    export.write_bytes(b"".join(LINES[:3]))
    cut = audit("verify", export, "--checkpoints", book, "--key", public)
    assert cut.exit_code == 1
    assert "record 4 was signed at" in cut.output


def test_a_checkpoint_by_another_key_or_changed_counts_for_nothing(
    export: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    private, public = keys
    book = tmp_path / "book.jsonl"
    audit("checkpoint", "--key", private, "-f", export, "--append", book)
    book.write_bytes(book.read_bytes().replace(b'"sequence":6', b'"sequence":5'))
    result = audit("verify", export, "--checkpoints", book, "--key", public)
    assert result.exit_code == 1
    assert "the checkpoint in line 1 was not signed with key" in result.output


def test_a_broken_chain_is_not_signed(export: Path, keys: tuple[Path, Path]) -> None:
    export.write_bytes(b"".join([*LINES[:2], *LINES[3:]]))
    result = audit("checkpoint", "--key", keys[0], "-f", export)
    assert result.exit_code == 1
    assert "nothing was signed" in result.output


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("verify", "missing.jsonl"), "missing.jsonl: No such file", 1),
        (("verify", "missing.jsonl", "--key", "x.pem"), "go together", 2),
        (("checkpoint", "--key", "no.pem", "-f", "/dev/null"), "no.pem", 1),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(words: tuple[str, ...], said: str, code: int) -> None:
    result = audit(*words)
    assert result.exit_code == code
    assert said in result.output


def test_the_recorded_evidence_is_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = replace(gate(), name="errors")
    account = Account.open(of, SETTINGS)
    for tick in range(30):
        account.fold(evidence(stratum(tick, (20, tick % 2), (80, 1))))
    (verdict,) = account.verdicts(at=T0, settings=SETTINGS)
    said = {"gate": "errors", "segment": "", "outcome": verdict.outcome.value, "sentence": verdict.sentence}
    body = {
        "release": {"namespace": "assistants", "name": "chat"},
        "verdicts": [{**said, "numbers": {name: repr(number) for name, number in verdict.numbers}}],
        "workings": packed({"Stage": [account.written(at=T0, settings=SETTINGS)]}),
    }
    path = tmp_path / "records.jsonl"
    path.write_bytes(lines_of([Record(1, GENESIS, RecordKind.RAISED, body)])[0])
    good = audit("verify", path, "--recompute")
    assert good.exit_code == 0, good.output
    assert "judged again from their own numbers: 1" in good.output
    body["verdicts"][0]["outcome"] = "Pass"  # type: ignore[index]
    path.write_bytes(lines_of([Record(1, GENESIS, RecordKind.RAISED, body)])[0])
    bad = audit("verify", path, "--recompute")
    assert bad.exit_code == 1
    assert "errors: recorded Pass, recomputed" in bad.output
    monkeypatch.setattr(workings, "JUDGE", workings.JUDGE + 1)
    other = audit("verify", path, "--recompute")
    assert other.exit_code == 0, "the record is as it was written, and nobody can tell more with this program"
    assert "not judged again: line 1: judged by version" in other.output
    assert "judged again from their own numbers: 0" in other.output


def test_entry_evidence_is_judged_again_too(tmp_path: Path) -> None:
    (raised,) = records(entering(*GOOD))
    body = json.loads(json.dumps({**raised.body, "release": {"namespace": "assistants", "name": "chat"}}))
    path = tmp_path / "records.jsonl"

    def verified() -> Result:
        path.write_bytes(lines_of([Record(1, GENESIS, raised.kind, body)])[0])
        return audit("verify", path, "--recompute")

    assert verified().exit_code == 0
    assert "judged again from their own numbers: 1" in verified().output
    body["entry"]["verdicts"][0]["outcome"] = "Fail"
    assert verified().exit_code == 1
    assert "wrong: line 1: entry accuracy: the record says Fail" in verified().output
