"""Processes end with their owner and explain a failed start; slots and names are never shared."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections import UserDict
from pathlib import Path
from typing import Any

import pytest

from modelrelease.sandbox import Sandbox, named, slots
from modelrelease.sandbox.access import ec_private_key_pem
from modelrelease.sandbox.errors import SandboxError, StartError
from modelrelease.sandbox.process import Part

SLEEP = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(600)"]


def part(folder: Path, argv: list[str]) -> Part:
    log = folder / "part.log"
    return Part("part", argv, log=log, ready=lambda: "here" in log.read_text())


def test_a_part_starts_stops_and_starts_again(tmp_path: Path) -> None:
    sleeper = part(tmp_path, SLEEP)
    sleeper.start()
    first = sleeper.pid
    sleeper.stop()
    assert (sleeper.running, sleeper.pid) == (False, None)

    sleeper.start()
    assert sleeper.pid not in (None, first)
    sleeper.pause()
    sleeper.stop()
    assert not sleeper.running


def test_a_failed_start_shows_the_last_words(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="no such flag"):
        part(tmp_path, [sys.executable, "-c", "raise SystemExit('no such flag')"]).start()


class CtrlC(UserDict[str, str]):
    """An environment in whose reading, which is part of a start, somebody presses Ctrl-C."""

    def keys(self) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        return super().keys()


def test_a_part_that_was_being_started_when_ctrl_c_came_can_be_ended(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    sleeper = Part("part", SLEEP, log=tmp_path / "part.log", env=CtrlC(os.environ))
    try:
        with pytest.raises(KeyboardInterrupt):
            sleeper.start()
        assert sleeper.running
    finally:
        signal.signal(signal.SIGINT, before)
        sleeper.kill()
    assert not sleeper.running


def test_two_slots_share_neither_network_nor_ports() -> None:
    first, second = slots.claim(), slots.claim()
    try:
        assert first.service_range != second.service_range
        assert not {first.port(i) for i in range(16)} & {second.port(i) for i in range(16)}
    finally:
        first.release()
        second.release()


def test_a_slot_with_a_taken_port_is_left_out() -> None:
    slot = slots.claim()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((slots.HOST, slot.port(3)))
        taken.listen()
        slot.release()
        other = slots.claim()
    try:
        assert other.index != slot.index
    finally:
        other.release()


def test_a_name_is_owned_by_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with named.owned("demo"):
        assert named.is_owned("demo")
        with pytest.raises(SandboxError, match="already running"), named.owned("demo"):
            pass
    assert not named.is_owned("demo")
    with pytest.raises(SandboxError, match="no sandbox 'demo' is running"):
        named.end("demo")


@pytest.mark.parametrize("name", ["", "../x", "A", "-a", "a" * 41])
def test_names_that_would_not_do_as_a_folder_are_refused(name: str) -> None:
    with pytest.raises(SandboxError, match="sandbox name"):
        named.check_name(name)


def test_every_signing_key_is_its_own() -> None:
    assert ec_private_key_pem() != ec_private_key_pem()


@pytest.mark.cluster
def test_a_state_folder_with_something_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.touch()

    with pytest.raises(SandboxError, match="not empty"):
        Sandbox(state_dir=tmp_path).start()

    assert precious.exists()
