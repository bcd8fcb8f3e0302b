"""What a kubeconfig says about its contexts, read as kubectl does: of several files the first that says something."""

import os
from pathlib import Path
from typing import Any

SHOWN = 20
"""So many contexts are named where one is not found."""


def namespace_of(kubeconfig: Path | None, context: str) -> str:
    """The namespace of a context, "" for the current one; `default` where nothing says so."""
    current, contexts = _read(kubeconfig) or ("", {})
    named = contexts.get(context or current)
    return str(named.get("namespace") or "default") if isinstance(named, dict) else "default"


def unknown_context(kubeconfig: Path | None, context: str) -> str | None:
    """What is wrong with a context that a kubeconfig which can be read does not have; None for "", the current one."""
    found = _read(kubeconfig) if context else None
    if found is None or context in found[1]:
        return None
    names = sorted(found[1])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    there = f"it has {', '.join(names[:SHOWN])}{more}" if names else "it has none"
    return f"--context {context}: kubeconfig {kubeconfig or _usual()} has no such context; {there}"


def _usual() -> Path:
    return Path.home() / ".kube" / "config"


def _read(kubeconfig: Path | None) -> tuple[str, dict[str, Any]] | None:
    """The current context and all by name; None where no file is there or one cannot be read."""
    import yaml

    current, contexts = "", dict[str, Any]()
    files = [file for file in map(Path, filter(None, str(kubeconfig or _usual()).split(os.pathsep))) if file.exists()]
    try:
        for file in files:
            config = yaml.safe_load(file.read_text()) or {}
            current = current or str(config.get("current-context") or "")
            contexts = {str(entry["name"]): entry["context"] for entry in config.get("contexts") or []} | contexts
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return None
    return (current, contexts) if files else None
