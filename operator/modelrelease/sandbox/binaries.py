"""Where each program of the sandbox comes from: installed, cached, downloaded or built; each is fetched once.

Order: `$KUBEBUILDER_ASSETS` and PATH, the cache, the official release, a build from Go modules. What was tried and why
it failed is kept, so that the last resort's error tells the whole story in one sentence.

Rejected: one container image with everything in it. The sandbox is for machines without a container engine.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelrelease.sandbox import download, gobuild
from modelrelease.sandbox.errors import MissingToolError, SandboxError
from modelrelease.sandbox.progress import Progress
from modelrelease.sandbox.tools import GATEWAY_API_VERSION, KUBECTL, TOOLS, Tool

VERSION_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Found:
    """A usable program and, for people, where it came from."""

    path: Path
    origin: str


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/modelrelease/bin`, created when absent."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "modelrelease" / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def find(tool: Tool) -> Found | None:
    """What is there already, without network or compiler; None when nothing is."""
    return _installed(tool) or _cached(tool)


def ensure(tool: Tool, progress: Progress) -> Found:
    """The program, fetched or built when it is not there yet (minutes, once). MissingToolError says what to install."""
    found = find(tool)
    if found is not None:
        return found
    if tool.build is None:
        raise MissingToolError(
            f"{tool.name} {_minimum(tool)} or newer is neither on PATH nor in the Python package {tool.wheel}: "
            f"install modelrelease[sandbox]"
        )
    with _locked(cache_dir() / f".{tool.name}.lock", progress):
        return find(tool) or _acquire(tool, progress)


def ensure_all(progress: Progress, tools: tuple[Tool, ...] = TOOLS) -> dict[str, Found]:
    """Every program by name. Builds run one after the other: each already uses all cores."""
    return {tool.name: ensure(tool, progress) for tool in tools}


def ensure_gateway_api_crds(progress: Progress) -> Path:
    """The Gateway API's CRDs as one YAML file in the cache."""
    target = cache_dir() / f"gateway-api-{GATEWAY_API_VERSION}-standard.yaml"
    if not target.exists():
        with (
            _locked(cache_dir() / ".gateway-api.lock", progress),
            progress.step(f"Gateway API {GATEWAY_API_VERSION} CRDs from its Go module"),
            tempfile.TemporaryDirectory(dir=cache_dir()) as folder,
        ):
            draft = Path(folder) / target.name
            draft.write_text(gobuild.gateway_api_crds())
            draft.replace(target)
    return target


def _installed(tool: Tool) -> Found | None:
    for path, origin in _candidates(tool):
        if _version(path, tool) >= tool.minimum:
            return Found(path, origin)
    return None


def _cached(tool: Tool) -> Found | None:
    paths = (cache_dir() / name for name in tool.cached_names)
    return next((Found(path, "cache") for path in paths if path.exists()), None)


def _candidates(tool: Tool) -> Iterator[tuple[Path, str]]:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and (Path(assets) / tool.name).is_file():
        yield Path(assets) / tool.name, "KUBEBUILDER_ASSETS"
    on_path = shutil.which(tool.name)
    if on_path:
        yield Path(on_path), "PATH"
    if tool.wheel:
        try:
            files = importlib.metadata.files(tool.wheel) or []
        except importlib.metadata.PackageNotFoundError:
            files = []
        for file in files:
            if file.name == tool.name:
                yield Path(str(file.locate())).resolve(), f"Python package {tool.wheel}"


def _version(path: Path, tool: Tool) -> tuple[int, int]:
    """Major and minor, (0, 0) when the program does not say."""
    try:
        answer = subprocess.run(
            [path, *tool.version_args], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    match = re.search(r"\bv?(\d+)\.(\d+)\.\d+", answer.stdout + answer.stderr)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _acquire(tool: Tool, progress: Progress) -> Found:
    with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
        try:
            return _download(tool, Path(folder), progress)
        except download.Unavailable as error:
            tried = f"its official release could not be downloaded ({error})"
        try:
            return _build(tool, Path(folder), progress)
        except MissingToolError as error:
            raise MissingToolError(
                f"{tool.name} {_minimum(tool)} or newer is not on PATH, {tried} and it cannot be built ({error}): "
                f"install modelrelease[sandbox], which brings a Go compiler, or put {tool.name} on PATH"
            ) from error
        except SandboxError as error:
            raise SandboxError(f"{tool.name}: {tried}, then {error}") from error


def _download(tool: Tool, folder: Path, progress: Progress) -> Found:
    """One archive may hold several programs: all that are known are installed, so that it is fetched once."""
    with progress.step(f"{tool.name}: official release") as step:
        programs = download.fetch_release(tool.name, folder, step)
    if tool.name not in programs:
        raise download.Unavailable(f"the archive holds no {tool.name}")
    for known in (*TOOLS, KUBECTL):
        if known.name in programs and known.release == tool.release:
            programs[known.name].replace(cache_dir() / f"{known.name}-{known.release}")
    return Found(cache_dir() / f"{tool.name}-{tool.release}", "official release")


def _build(tool: Tool, folder: Path, progress: Progress) -> Found:
    draft = folder / tool.name
    with progress.step(f"{tool.name} {tool.version}: building from Go modules, once") as step:
        gobuild.build(tool, draft, step)
    return Found(draft.replace(cache_dir() / f"{tool.name}-{tool.version}"), "built from Go modules")


def _minimum(tool: Tool) -> str:
    return ".".join(map(str, tool.minimum))


@contextmanager
def _locked(lock: Path, progress: Progress) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"another process is already preparing this ({lock.name}); waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
