"""Results as JSON or YAML in the form of ReleaseEvidence.spec, or a whole ReleaseEvidence."""

import json
from typing import Any

from modelrelease.cli.results import Results, ResultsError, Wanted

SECTIONS = ("metrics", "subgroups", "scenarios", "redTeam", "data", "references", "impact")
FILLED_IN = ("releaseRef", "unitDigest", "producer")


def looks_like(content: bytes) -> bool:
    """Any JSON or YAML mapping; the other formats are asked before."""
    return not content.lstrip().startswith(b"<")


def read(content: bytes, wanted: Wanted) -> Results:
    """Read it. Raises ResultsError with line and column, or with the field."""
    found = _parsed(content)
    spec = found.get("spec") if found.get("kind") == "ReleaseEvidence" else found
    if not isinstance(spec, dict):
        raise ResultsError("spec", "a mapping is meant")
    unknown = set(spec) - {*SECTIONS, *FILLED_IN, "suite", "producedAt", "expiresAt"}
    if unknown:
        known = ", ".join(SECTIONS)
        raise ResultsError(", ".join(sorted(unknown)), f"there is no such section: write suite, producedAt or {known}")
    times = {name: str(spec.get(name) or "") for name in ("producedAt", "expiresAt")}
    results = Results(dict(spec.get("suite") or {}), times["producedAt"], times["expiresAt"])
    for section in SECTIONS:
        items = [] if spec.get(section) is None else spec[section]
        if not isinstance(items, list):
            raise ResultsError(section, "a list is meant")
        if items:
            results.sections[section] = list(items)
    if wanted.subgroup_by:
        raise ResultsError("--subgroup-by", "this format names its subgroups itself: write subgroups into the file")
    return results


def _parsed(content: bytes) -> dict[str, Any]:
    import yaml

    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ResultsError(f"byte {error.start}", "it is not UTF-8 text") from error
    try:
        found = json.loads(text) if text.lstrip().startswith(("{", "[")) else yaml.load(text, Loader=_loader())
    except json.JSONDecodeError as error:
        raise ResultsError(f"line {error.lineno}, column {error.colno}", f"it is not JSON: {error.msg}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ResultsError(where, f"it is not YAML: {error.problem}") from error
    if not isinstance(found, dict):
        raise ResultsError("", "a mapping with metrics, subgroups and the like is meant")
    return found


def _loader() -> Any:
    """YAML whose times stay text, as kubectl reads it."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader
