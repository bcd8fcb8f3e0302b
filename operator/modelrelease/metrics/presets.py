"""Presets: gate templates that ship as data files."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml


@cache
def preset_specs() -> Mapping[str, Any]:
    """The spec of each shipped template by name."""
    found: dict[str, Any] = {}
    for file in sorted(Path(__file__).with_name("presets").glob("*.yaml")):
        for doc in yaml.safe_load_all(file.read_text()):
            if doc:
                found[doc["metadata"]["name"]] = doc["spec"]
    return found
