"""`modelrelease digest -f`: the unit digest of a release manifest, computed offline.

ConfigMaps that the unit refers to are taken from the same file(s); one that is not there is an error, because the
digest covers its content.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from modelrelease.cli.cluster import Output, echo


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command()(digest)


def digest(
    files: Annotated[list[Path], typer.Option("--file", "-f", help="Manifest(s) with the release and its ConfigMaps.")],
    output: Output = "text",
) -> None:
    """Print the unit digest of each ModelRelease in the files."""
    import yaml

    from modelrelease.api.convert import config_maps_of, content_of, unit_of

    docs: list[Any] = []
    for file in files:
        try:
            docs += [doc for doc in yaml.safe_load_all(file.read_text()) if doc]
        except (OSError, yaml.YAMLError) as error:
            said = f"{error.strerror}: name the file with the release" if isinstance(error, OSError) else str(error)
            typer.echo(f"error: {file}: {said}", err=True)
            raise typer.Exit(1) from error
    maps = {doc["metadata"]["name"]: doc for doc in docs if doc.get("kind") == "ConfigMap"}
    found = []
    for doc in docs:
        if doc.get("kind") != "ModelRelease":
            continue
        spec = doc.get("spec") or {}
        contents = {name: content_of(maps[name]) if name in maps else None for name in config_maps_of(spec)}
        unit = unit_of(spec, doc["metadata"].get("namespace", "default"), contents)
        if isinstance(unit, tuple):
            for fault in unit:
                typer.echo(f"error: ModelRelease {doc['metadata']['name']}: {fault.message}", err=True)
            raise typer.Exit(1)
        found.append({"release": doc["metadata"]["name"], "version": unit.version, "digest": unit.digest})
    if not found:
        typer.echo("error: no ModelRelease in the files", err=True)
        raise typer.Exit(1)
    echo(found, output, lambda: "\n".join(f"{item['digest']}  {item['release']} {item['version']}" for item in found))
