"""`modelrelease presets`: the gate templates that ship with the operator, to be named as they are or copied.

Needs no cluster. A release names a preset like any template; what somebody applies under the same name goes before it.
"""

import shutil
import sys
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelrelease.cli.cluster import Output, echo
from modelrelease.cli.exits import EXIT_NOT_FOUND

if TYPE_CHECKING:
    from modelrelease.metrics.presets import Preset

COLUMNS = ("name", "server", "kind", "type", "unit", "arm", "series")


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(short_help="List the built-in gate templates, or show some.")(presets)


def presets(
    names: Annotated[list[str] | None, typer.Argument(help="Show these as ClusterGateTemplates.")] = None,
    server: Annotated[str | None, typer.Option(help="Only those of one server, such as vLLM.")] = None,
    output: Output = "text",
) -> None:
    """List the built-in gate templates, or show some as manifests to apply or copy (-o yaml NAME).

    In a release, gateway-error-rate, gateway-latency and gateway-requests stand for those of the release's own gateway.
    """
    from modelrelease.metrics.presets import alike, meant
    from modelrelease.metrics.presets import presets as shipped

    known = shipped()
    for name in names or ():
        if not meant(name):
            like = alike(name)
            hint = f"; did you mean {' or '.join(like)}?" if like else ""
            typer.echo(f"error: there is no preset {name}{hint or ';'} `modelrelease presets` lists them", err=True)
            raise typer.Exit(EXIT_NOT_FOUND)
    servers = {one.server.lower(): one.server for one in known.values()}
    if server is not None and server.lower() not in servers:
        typer.echo(f"error: --server {server!r}: write one of {', '.join(sorted(servers.values()))}", err=True)
        raise typer.Exit(2)
    wanted = dict.fromkeys(one for name in names or () for one in meant(name))
    chosen = [known[name] for name in wanted] if names else list(known.values())
    chosen = [one for one in chosen if server is None or one.server.lower() == server.lower()]
    if names:
        manifests = [manifest(one) for one in chosen]
        shown: Any = manifests[0] if len(manifests) == 1 else {"apiVersion": "v1", "kind": "List", "items": manifests}
        echo(shown, output, lambda: "\n\n".join(map(_described, chosen)))
    else:
        rows = [row(one) for one in chosen]
        echo(rows, output, lambda: _table(rows, _width()))


def manifest(preset: "Preset") -> dict[str, Any]:
    """The preset as a ClusterGateTemplate that can be applied."""
    from modelrelease.api.names import API_VERSION

    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterGateTemplate",
        "metadata": {"name": preset.name},
        "spec": _copied(preset.spec),
    }


def row(preset: "Preset") -> dict[str, Any]:
    """What a line of the list says: `arm` are the labels by which the arms are told apart, `series` what is read."""
    from modelrelease.api.gatetemplate import GateTemplateSpec

    spec = GateTemplateSpec.model_validate(preset.spec)
    kind = next(iter(preset.spec["metric"]))
    return {
        "name": preset.name,
        "server": preset.server,
        "kind": spec.kind.value,
        "type": kind,
        "unit": spec.unit or {"ratio": "share", "cost": "USD"}.get(kind, ""),
        "arm": _arm_labels(preset.spec),
        "series": _series(preset.spec["metric"]),
        "description": spec.description or "",
        "facts": preset.facts,
    }


def _series(metric: Mapping[str, Any]) -> list[str]:
    from modelrelease.metrics import promql

    if "value" in metric:
        return list(dict.fromkeys(name for name, _, _ in promql.selectors(metric["value"]["query"], "query")))
    (parts,) = metric.values()
    return list(dict.fromkeys(part["name"] for part in parts.values() if isinstance(part, Mapping)))


def _arm_labels(spec: Mapping[str, Any]) -> list[str]:
    from modelrelease.api.gatetemplate import ARM_PLACEHOLDERS
    from modelrelease.metrics import promql

    if "value" in spec["metric"]:
        found = promql.selectors(spec["metric"]["value"]["query"], "query")
        pairs = [(matcher.label, matcher.value) for _, matchers, _ in found for matcher in matchers]
    else:
        pairs = [(matcher["label"], matcher["value"]) for matcher in spec["arm"]]
    tells = [f"${{{name}}}" for name in ARM_PLACEHOLDERS]
    return list(dict.fromkeys(label for label, value in pairs if any(one in value for one in tells)))


def _width() -> int | None:
    """Columns of the terminal; None where nobody looks at one."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _table(rows: list[dict[str, Any]], width: int | None) -> str:
    """The list, without its last columns where they do not fit into `width`."""
    lines = [[name.upper() for name in COLUMNS]]
    lines += [[_cell(one[column]) for column in COLUMNS] for one in rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(COLUMNS))]
    shown = len(COLUMNS)
    while width is not None and shown > 1 and sum(widths[:shown]) + 2 * (shown - 1) > width:
        shown -= 1
    padded = ([cell.ljust(wide) for cell, wide in zip(line[:shown], widths[:shown], strict=True)] for line in lines)
    text = ["  ".join(cells).rstrip() for cells in padded]
    if shown < len(COLUMNS):
        text.append(f"not shown here: {', '.join(COLUMNS[shown:])} (a wider terminal, or -o yaml)")
    return "\n".join(text)


def _cell(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _described(preset: "Preset") -> str:
    said = row(preset)
    fields = [(name, _cell(said[name])) for name in (*COLUMNS[1:], "facts")]
    width = max(40, (_width() or 10_000) - 2)
    lines = textwrap.wrap(said["description"], width)
    for name, text in fields:
        lines += textwrap.wrap(f"{name:<7} {text}", width, subsequent_indent=8 * " ", break_on_hyphens=False)
    return "\n".join([preset.name, *(f"  {line}" for line in lines)])


def _copied(value: Any) -> Any:
    """Plain data without shared parts, which YAML would print as anchors."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
