"""`modelrelease lint`: what is wrong with manifests, before anybody applies them. Needs no cluster."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from modelrelease.cli.cluster import Output, echo, fail
from modelrelease.domain.unit import Unit

EXIT_FAULTS = 1
EXIT_USAGE = 2

Files = Annotated[list[Path], typer.Option("--file", "-f", help="Manifests: a file, or a folder with all below it.")]
Stable = Annotated[
    list[Path] | None,
    typer.Option("--stable", help="Manifests as they serve now: only what differs counts as changed."),
]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(short_help="Find what would be refused, before it is applied.")(lint)


def lint(files: Files, stable: Stable = None, output: Output = "text") -> None:
    """Find what the API server and the operator would refuse: releases, policies, templates and sources together.

    Exit code 1 when something is wrong; warnings are only told.
    Without --stable every part of a unit counts as changed, as at its first start.
    """
    from modelrelease.cli.lint_warnings import warnings
    from modelrelease.cli.linting import Finding, Manifests, findings
    from modelrelease.cli.positions import Placed, Unreadable, files_in, objects_in

    if output not in ("text", "json", "yaml"):
        fail(f"--output {output!r}: write text, json or yaml", EXIT_USAGE)
    placed: list[Placed] = []
    found: list[Finding] = []
    names = files_in(files)
    for file in names:
        try:
            for each in objects_in(file):
                if isinstance(each, Unreadable):
                    found.append(Finding(str(file), each.line, "", "", each.message, "NotYaml"))
                else:
                    placed.append(each)
        except OSError as error:
            fail(f"{file}: {error.strerror or error}: name a file or a folder with manifests", EXIT_USAGE)
    manifests = Manifests(placed, _serving(stable or []))
    found += findings(manifests)
    warned = list(warnings(manifests, datetime.now(UTC).date()))
    ours = sum(1 for each in placed if str(_version(each.content)).startswith("modelrelease.dev/"))
    data = {"files": len(names), "objects": ours, "faults": [asdict(each) for each in found]}
    data["warnings"] = [asdict(each) for each in warned]
    lines = [f"{each.file}:{each.line}: {each.object}{': ' if each.object else ''}{each.message}" for each in found]
    lines += [f"{each.file}:{each.line}: warning: {each.object}: {each.message}" for each in warned]
    told = f", {len(warned)} warnings" if warned else ""
    lines.append(f"{ours} objects in {len(names)} files, {len(found)} faults{told}")
    echo(data, output, lambda: "\n".join(lines))
    if found:
        raise typer.Exit(EXIT_FAULTS)


def _version(content: object) -> object:
    return content.get("apiVersion", "") if isinstance(content, Mapping) else ""


def _serving(files: list[Path]) -> dict[str, Unit]:
    from modelrelease.api.convert import config_maps_of, unit_of
    from modelrelease.cli.linting import Manifests
    from modelrelease.cli.positions import Placed, files_in, objects_in

    placed = [each for file in files_in(files) for each in objects_in(file) if isinstance(each, Placed)]
    manifests = Manifests(placed, {})
    found: dict[str, Unit] = {}
    for doc in manifests.of("ModelRelease"):
        namespace, spec = doc["metadata"].get("namespace") or "default", doc.get("spec") or {}
        unit = unit_of(spec, namespace, manifests.contents(config_maps_of(spec), namespace))
        if not isinstance(unit, Unit):
            fail(f"--stable: ModelRelease {doc['metadata']['name']}: {unit[0].message}", EXIT_USAGE)
        found[f"{namespace}/{doc['metadata']['name']}"] = unit
    return found
