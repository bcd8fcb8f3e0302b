"""How long it takes to verify an export of 100,000 records -> build/bench/audit.json.

`{"records", "bytes", "verify_s", "goal_s", "met"}`; the records are of a usual size, with verdicts and workings.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.figures import write
from modelrelease.domain.record import GENESIS, Record, RecordKind
from modelrelease.governance.chain import line_of, verify

GOAL_S = 10.0


def main() -> None:
    """Write an export, verify it, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.jsonl"
        make(path, wanted.records)
        began = time.perf_counter()
        with path.open("rb") as lines:
            report = verify(lines)
        seconds = time.perf_counter() - began
        size = path.stat().st_size
    assert report.records == wanted.records and not report.findings
    write(
        "audit",
        {
            "records": report.records,
            "bytes": size,
            "verify_s": round(seconds, 3),
            "goal_s": GOAL_S,
            "met": seconds <= GOAL_S,
        },
    )


def make(path: Path, number: int) -> None:
    """Chains of a hundred records each."""
    verdict = {
        "gate": "errors",
        "segment": "",
        "outcome": "Undecided",
        "cause": "",
        "sentence": "errors: 41 of 1,204 on the candidate against 310 of 60,950 on stable; rate ratio under 1.5",
        "newestSample": "2026-03-01T12:00:00.000000Z",
        "numbers": {name: repr(number / 7) for number, name in enumerate(("n_c", "y_c", "n_s", "y_s", "log_e", "phi"))},
    }
    with path.open("wb") as out:
        for chain in range(0, number, 100):
            previous = GENESIS
            for sequence in range(1, min(100, number - chain) + 1):
                body = {
                    "release": {"namespace": "assistants", "name": f"chat-{chain}", "uid": "u", "generation": 3},
                    "at": "2026-03-01T12:00:00.000000Z",
                    "message": f"step {sequence}",
                    "verdicts": [verdict] * 3,
                    "workings": "eJy" * 1000,
                }
                record = Record(sequence, previous, RecordKind.RAISED, body)
                previous = record.hash
                fields = {"sequence": sequence, "previous": record.previous, "kind": "Raised", "body": body}
                out.write(line_of({**fields, "hash": previous}))


if __name__ == "__main__":
    main()
