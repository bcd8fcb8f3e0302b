"""`approve` and `status` on a real terminal: what they show fits it, and only a yes is written."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

Json = dict[str, Any]

ZEROS = "sha256:" + "0" * 64
ESCAPE = "\x1b[2J"
APPROVE = ("approve", "chat", "--role", "risk", "--reason", "fine")
CTRL_C, CTRL_D = "\x03", "\x04"
SENTENCE = (
    "errors: 0.0132 on the candidate against 0.0011 on stable is not more than 1.5 times as much, with 19,402 requests "
    "on the candidate and 77,310 on stable since 2026-11-21 18:04"
)
STATUS: Json = {
    "state": "Observing",
    "tier": "High",
    "planDigest": ZEROS,
    "evidenceDigest": ZEROS,
    "stable": {"version": "v1", "digest": ZEROS, "revision": "chat-1", "backend": {"name": "chat"}},
    "candidate": {"version": "v2", "digest": ZEROS, "revision": "chat-2", "backend": {"name": "chat"}},
    "stage": {"index": 0, "name": "some"},
    "conditions": [
        {
            "type": "Ready",
            "status": "Unknown",
            "reason": "SourceDown",
            "message": f"Prometheus says {ESCAPE}no such host, so stage some waits: no data never advances anything",
        }
    ],
    "plan": {"stages": [{"name": "some"}, {"name": "full"}]},
    "gates": [{"name": "errors", "outcome": "Pass", "sentence": SENTENCE}],
    "entry": [{"name": "accuracy", "outcome": "Pass", "sentence": "accuracy: 0.98 (980 of 1,000), at least 0.9"}],
    "approval": {
        "stage": "full",
        "asked": [{"role": "risk", "stage": "full", "accountable": True}],
        "lookAt": ["https://wiki.example.com/release-checklist"],
    },
}


def unit(prompt: str) -> Json:
    parts = [{"name": "prompt", "fields": [{"name": "version", "value": prompt}]}]
    return {"spec": {"unit": {"version": "1", "backend": {"name": "chat", "port": 8080}, "parts": parts}}}


EVIDENCE = {
    "metadata": {"name": "chat-golden-1"},
    "spec": {
        "unitDigest": ZEROS,
        "producer": f"carol{ESCAPE}",
        "suite": {"name": "golden", "version": "12"},
        "metrics": [{"name": f"metric-{number}", "count": 980, "total": 1000} for number in range(9)],
    },
}
RELEASE = {"metadata": {"name": "chat", "namespace": "assistants", "uid": "uid-1"}, "spec": {}, "status": STATUS}
ANSWERS: dict[str, Json] = {
    "modelreleases/chat": RELEASE,
    "releaserevisions/chat-1": unit("8"),
    "releaserevisions/chat-2": unit("9"),
    "releaseevidences": {"items": [EVIDENCE]},
}


class Api(BaseHTTPRequestHandler):
    """As much of an API server as the command asks."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.answer(next(answer for name, answer in ANSWERS.items() if path.endswith(f"/{name}")))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["kind"] == "SelfSubjectReview":
            self.answer({"status": {"userInfo": {"username": "carol", "groups": ["risk"]}}})
        else:
            self.server.written.append(body)  # type: ignore[attr-defined]
            self.answer(body)

    def answer(self, payload: Json) -> None:
        body = json.dumps(payload).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to say."""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[tuple[Path, list[Json]]]:
    """A kubeconfig, and what was written."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.written = written = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = {"name": "x", "context": {"cluster": "x", "user": "x", "namespace": "assistants"}}
    config = {
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "x", "user": {"token": "x"}}],
        "contexts": [context],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    yield tmp_path / "kubeconfig", written
    server.shutdown()
    server.server_close()


def on_terminal(
    kubeconfig: Path, keys: str, *words: str, command: Sequence[str] = APPROVE, columns: int = 80
) -> tuple[int, str]:
    """Exit code and screen of a command on a terminal, where `keys` are typed at the question."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    running = subprocess.Popen(
        [sys.executable, "-m", "modelrelease.cli", *command, "--kubeconfig", str(kubeconfig), *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**clean, "TERM": "xterm"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    screen, typed = b"", False
    try:
        while True:
            while typed and keys == CTRL_C and not select.select([ours], [], [], 10.0)[0]:
                os.write(ours, keys.encode())  # A signal just before the program begins to read is seen after it.
            try:
                read = os.read(ours, 4096)
            except OSError:  # Linux says so when the last process has closed its side.
                break
            screen += read
            if not read:
                break
            if not typed and b"[y/N]: " in screen:
                os.write(ours, keys.encode())
                typed = True
        return running.wait(timeout=30), screen.decode().replace("\r\n", "\n")
    finally:
        running.kill()
        os.close(ours)


def test_a_yes_is_written_after_a_look_at_what_fits_the_terminal(api: tuple[Path, list[Json]]) -> None:
    kubeconfig, written = api
    code, screen = on_terminal(kubeconfig, "y\n")
    assert code == 0, screen
    [body] = written
    assert (body["spec"]["action"], body["spec"]["author"], body["spec"]["stage"]) == ("Approve", "carol", "full")
    shown, _, rest = screen.partition("Approve chat (full) as risk? [y/N]")
    assert rest.startswith(": y\n") and "because: fine" in rest
    assert max(map(len, shown.splitlines())) <= 80
    assert "prompt version: 8 → 9" in shown
    assert re.search(r"gate +Pass +errors: 0\.0132 on the candidate", shown)
    assert re.search(r"entry +Pass +accuracy: 0\.98", shown)
    assert "\x1b" not in shown and "carol\\x1b[2J, golden 12: metric-0 0.98 (980 of" in shown.replace(
        "\n" + 13 * " ", " "
    )
    assert "metric-3" in shown and "metric-4" not in shown


@pytest.mark.parametrize("keys", ["n\n", "\n", CTRL_C, CTRL_D], ids=["no", "enter", "Ctrl-C", "Ctrl-D"])
def test_anything_else_than_a_yes_writes_nothing_and_says_so(keys: str, api: tuple[Path, list[Json]]) -> None:
    kubeconfig, written = api
    code, screen = on_terminal(kubeconfig, keys)
    assert (code, written) == (1, [])
    assert screen.rstrip().endswith("\nerror: nothing was written")
    assert "Traceback" not in screen


@pytest.mark.parametrize(("columns", "most"), [(80, 80), (120, 110)])
def test_a_status_fits_the_terminal_and_nothing_in_it_steers_that(
    columns: int, most: int, api: tuple[Path, list[Json]]
) -> None:
    code, screen = on_terminal(api[0], "", command=("status", "chat"), columns=columns)
    assert code == 0, screen
    lines = screen.splitlines()
    assert most - 15 < max(map(len, lines)) <= most
    assert "\x1b" not in screen
    text = screen.replace("\n" + 13 * " ", " ")
    assert f"  gate       Pass       {SENTENCE}\n" in text
    assert "SourceDown: Prometheus says \\x1b[2Jno such host, so stage some waits: no data never" in text
    assert all(line.startswith(("  ", "assistants/chat")) for line in lines)


def test_a_status_that_goes_elsewhere_has_a_line_for_each_thing(api: tuple[Path, list[Json]]) -> None:
    command = [sys.executable, "-m", "modelrelease.cli", "status", "chat", "--kubeconfig", str(api[0])]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80"}, check=True)
    assert f"  gate       Pass       {SENTENCE}\n" in done.stdout
    assert "no data never advances anything\n" in done.stdout and "\x1b" not in done.stdout


def test_what_is_decided_on_is_shown_beside_json_too(api: tuple[Path, list[Json]]) -> None:
    kubeconfig, written = api
    code, screen = on_terminal(kubeconfig, "y\n", "-o", "json")
    assert (code, len(written)) == (0, 1)
    assert screen.index("prompt version: 8 → 9") < screen.index("[y/N]") < screen.index('"kind": "ReleaseDecision"')


def test_without_a_terminal_a_yes_has_to_be_said_beforehand(api: tuple[Path, list[Json]]) -> None:
    kubeconfig, written = api
    command = [sys.executable, "-m", "modelrelease.cli", "approve", "chat", "--role", "risk", "--reason", "fine"]
    command += ["--kubeconfig", str(kubeconfig)]
    piped = subprocess.run(command, input="y\n", capture_output=True, text=True, timeout=60, check=False)
    assert (piped.returncode, written) == (2, [])
    assert "then say --yes" in piped.stderr
    said = subprocess.run([*command, "--yes"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert (said.returncode, len(written)) == (0, 1)
