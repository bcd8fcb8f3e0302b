"""`modelrelease plan`: how long each stage needs to see what its gates are for, from the traffic that there is now.

Nothing is written anywhere, and the release need not exist. `--offline` takes the numbers from the command line.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from modelrelease.cli.cluster import Cluster, Context, Kubeconfig, Output, echo, fail, on_cluster

LONGEST_WINDOW_S = 7 * 86400
EXIT_TOO_SHORT = 1

Files = Annotated[list[Path], typer.Option("--file", "-f", help="Manifest with the release; templates may be in it.")]
Rates = Annotated[list[str] | None, typer.Option("--segment-rate", help="NAME=N: requests/s of a segment.")]
Bases = Annotated[
    list[str] | None,
    typer.Option("--base-rate", help="P or GATE=P: stable's share of bad events, mean or cost; GATE=MEAN~SPREAD."),
]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command(short_help="Show how long each stage needs, before a release.")(plan)


def plan(
    files: Files,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Namespace of the release; default: what the file says.")
    ] = None,
    prometheus: Annotated[str | None, typer.Option(help="Address to ask instead of the MetricsSource's.")] = None,
    window: Annotated[str, typer.Option(help="How far back to look, such as 30m, 1h or 24h.")] = "1h",
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody: --rate and --base-rate say it.")] = False,
    rate: Annotated[
        float | None, typer.Option(min=0.0, help="Requests/s of all traffic, instead of what Prometheus shows.")
    ] = None,
    segment_rate: Rates = None,
    base_rate: Bases = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 1 when a stage is too short.")] = False,
    credentials_dir: Annotated[
        Path | None, typer.Option(help="Folder with the files that the MetricsSource names.")
    ] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    output: Output = "text",
) -> None:
    """Show how long each stage needs for its samples, to see a worse candidate, and to prove an equal one."""
    from modelrelease.cli import given, measure, plan_text
    from modelrelease.gates.planning import forecast
    from modelrelease.gates.shortfalls import shortfalls

    if output not in ("text", "json", "yaml"):
        fail(f"--output {output!r}: write text, json or yaml", 2)
    docs = load(files)
    doc = release_in(docs, files)
    where = namespace or doc["metadata"].get("namespace") or "default"
    numbers = given.Given.read(rate, segment_rate or [], base_rate or [])
    length_s = 0.0 if offline else window_s(window)
    if offline:
        if rate is None:
            fail("--offline needs --rate, the requests per second of all traffic", 2)
        basis = given.offline(doc, docs, rate)
    else:
        ask = measure.Ask(length_s, prometheus, credentials_dir)
        basis = on_cluster(Cluster(kubeconfig, context), lambda kube: measure.measure(kube, doc, docs, where, ask))
    basis = numbers.over(basis)
    found = forecast(basis.plan, basis.measured, basis.settings)
    view = plan_text.View(doc["metadata"]["name"], where, found, basis, None if offline else window, length_s)
    echo(plan_text.as_data(view), output, lambda: plan_text.as_text(view))
    if strict and shortfalls(found):
        raise typer.Exit(EXIT_TOO_SHORT)


def load(files: Sequence[Path]) -> list[dict[str, Any]]:
    """All objects in the files; a file that cannot be read or is no YAML ends the command."""
    import yaml

    docs: list[dict[str, Any]] = []
    for file in files:
        try:
            found = [doc for doc in yaml.safe_load_all(file.read_text(encoding="utf-8")) if doc is not None]
        except OSError as error:
            fail(f"{file}: {error.strerror or error}: name the file with the release")
        except UnicodeDecodeError:
            fail(f"{file} is no text: name the YAML file with the release")
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f", line {mark.line + 1}" if mark else ""
            fail(f"{file}{place}: not YAML: {getattr(error, 'problem', None) or error}")
        for doc in found:
            if not isinstance(doc, dict) or not isinstance(doc.get("metadata"), dict) or "name" not in doc["metadata"]:
                fail(f"{file} holds something that is no Kubernetes object: each needs kind and metadata.name")
            docs.append(doc)
    return docs


def release_in(docs: Sequence[dict[str, Any]], files: Sequence[Path]) -> dict[str, Any]:
    """The one ModelRelease of the files."""
    found = [doc for doc in docs if doc.get("kind") == "ModelRelease"]
    if len(found) != 1:
        where = ", ".join(map(str, files))
        if not found:
            fail(f"there is no ModelRelease in {where}: name the file that it is in")
        names = ", ".join(str(doc["metadata"]["name"]) for doc in found)
        fail(f"there are {len(found)} ModelReleases in {where} ({names}): plan one at a time")
    return found[0]


def window_s(text: str) -> float:
    """Seconds of `--window`; anything that is none ends the command."""
    parts = re.findall(r"(\d+)([dhms])", text)
    if not re.fullmatch(r"(\d{1,6}[dhms]){1,4}", text):
        fail(f"--window {text!r}: write a duration such as 30m, 1h or 24h", 2)
    seconds = sum(int(count) * {"d": 86400, "h": 3600, "m": 60, "s": 1}[unit] for count, unit in parts)
    if not 60 <= seconds <= LONGEST_WINDOW_S:
        fail(f"--window {text}: write one from 1m to 7d", 2)
    return float(seconds)
