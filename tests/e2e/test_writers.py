"""Four writers of one chain at once, each dying at random moments, leave one chain; its old part can be taken away."""

import asyncio
import contextlib
import random
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner, Result

from modelrelease.cli import prune
from modelrelease.cli.main import app
from modelrelease.controller import kube
from modelrelease.controller.execute import Executor
from modelrelease.controller.kube import ApiError, Kube
from modelrelease.domain.record import GENESIS, Head, Record, RecordKind
from modelrelease.domain.release import Progress
from modelrelease.engine.actions import Step, WriteRecord
from modelrelease.governance.chain import line_of, verify
from modelrelease.sandbox import Sandbox

AT = "2026-11-21T12:00:00.000000Z"
WRITERS = 4
EACH = 25


class Death(Exception):
    """The writer dies here."""


class Mortal(Kube):
    """Dies now and then while it creates something: before the call, in it, or before it sees the answer."""

    def __init__(self, kubeconfig: Path, seed: int) -> None:
        super().__init__(kubeconfig)
        self.rng = random.Random(seed)
        self.deaths: list[str] = []

    async def create(self, *args: Any, **kwargs: Any) -> Any:
        fate = self.rng.choice(("lives", "lives", "before", "within", "after"))
        if fate == "before":
            self._die(fate)
        if fate == "within":
            call = asyncio.ensure_future(super().create(*args, **kwargs))
            await asyncio.sleep(self.rng.random() * 0.01)
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError, ApiError):
                await call
            self._die(fate)
        answer = await super().create(*args, **kwargs)
        if fate == "after":
            self._die(fate)
        return answer

    def _die(self, fate: str) -> None:
        self.deaths.append(fate)
        raise Death


async def head_of(api: Kube, namespace: str) -> Head:
    """The chain as a process finds it that has just been started."""
    specs = [each["spec"] for each in await api.list(kube.RECORDS, namespace)]
    newest = max(specs, key=lambda spec: int(spec["sequence"]), default=None)
    return Head(newest["sequence"], newest["hash"]) if newest else Head(0, GENESIS)


async def write(kubeconfig: Path, namespace: str, writer: int, lost: list[int]) -> list[str]:
    """Add EACH records to the chain, starting anew after each death and each lost race."""
    async with Mortal(kubeconfig, writer) as api:
        unused: Any = None
        executor = Executor(api, unused, unused, unused, unused, f"writer-{writer}")
        release = SimpleNamespace(namespace=namespace, name="chat", uid="uid")
        gathered: Any = SimpleNamespace(release=release, head_is_stale=lambda: lost.append(writer))
        number = 0
        while number < EACH:
            head = await head_of(api, namespace)
            message = f"{number} by {writer}"
            body = {"release": {"namespace": namespace, "name": "chat"}, "message": message, "at": AT}
            record = Record(head.sequence + 1, head.hash, RecordKind.PAUSED, body)
            try:
                await executor.carry_out(Step(Progress(), (WriteRecord(record),)), gathered)
                number += 1
            except (Death, ApiError):
                continue
        return api.deaths


async def test_four_writers_that_die_leave_one_chain_and_what_is_old_and_signed_can_go(
    installed: Sandbox, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = installed.kubeconfig("operator")
    lost: list[int] = []
    deaths = await asyncio.gather(*(write(kubeconfig, namespace, writer, lost) for writer in range(WRITERS)))
    assert {fate for each in deaths for fate in each} == {"before", "within", "after"}
    assert len(set(lost)) == WRITERS, "each writer lost a race"
    specs = specs_of(installed, namespace)
    assert [spec["sequence"] for spec in specs] == list(range(1, len(specs) + 1))
    report = verify(line_of(spec) for spec in specs)
    assert report.findings == []
    said = [spec["body"]["message"] for spec in specs]
    assert {f"{number} by {writer}" for number in range(EACH) for writer in range(WRITERS)} == set(said)
    await asyncio.to_thread(assert_old_part_goes, installed, namespace, tmp_path, monkeypatch)


def specs_of(sandbox: Sandbox, namespace: str) -> list[Any]:
    path = f"/apis/modelrelease.dev/v1alpha1/namespaces/{namespace}/releaserecords"
    return sorted((each["spec"] for each in sandbox.client().get(path)["items"]), key=lambda spec: spec["sequence"])


def assert_old_part_goes(sandbox: Sandbox, namespace: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Export, sign, and take away, as an administrator types it, a year and more later."""
    before = specs_of(sandbox, namespace)
    private, public = key_pair(folder)
    export, book = folder / "records.jsonl", folder / "book.jsonl"

    def audit(*words: object, user: str = "admin") -> Result:
        monkeypatch.setenv("KUBECONFIG", str(sandbox.kubeconfig(user)))
        return CliRunner().invoke(app, ["audit", *map(str, words)])

    assert audit("export", "-n", namespace, "--out", export).exit_code == 0
    assert audit("checkpoint", "--key", private, "-f", export, "--append", book).exit_code == 0
    words = ("prune", export, "--checkpoints", book, "--key", public, "-n", namespace)
    early = audit(*words, "--yes")
    assert f"{namespace}/chat: no record went; record 1 is not old enough" in early.output
    monkeypatch.setattr(prune, "datetime", Later)
    assert "can go; the newest 100 records stay" in audit(*words, "--dry-run").output
    assert audit(*words, "--yes", user="operator").exit_code == 4
    assert audit(*words).exit_code != 0, "nobody said yes"
    assert specs_of(sandbox, namespace) == before
    done = audit(*words, "--yes")
    assert done.exit_code == 0, done.output
    assert specs_of(sandbox, namespace) == before[-100:]
    rest = folder / "rest.jsonl"
    audit("export", "-n", namespace, "--out", rest)
    assert audit("verify", rest).exit_code == 1
    checked = audit("verify", rest, "--earlier", export, "--checkpoints", book, "--key", public)
    assert checked.exit_code == 0, checked.output


class Later(datetime):
    """A clock that is five hundred days ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + timedelta(days=500)


def key_pair(folder: Path) -> tuple[Path, Path]:
    key = Ed25519PrivateKey.generate()
    private, public = folder / "key.pem", folder / "pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public
