"""The one window that all tests share which only watch a real Prometheus."""

from __future__ import annotations

from importlib.resources import files

import pytest

from modelrelease.sandbox import Sandbox
from tests.metrics import judged_presets, troubled
from tests.metrics.window import Seen, Window

RECORDED = "release:gpu_allocation_dollars_total"


def recording_rule() -> str:
    """The expression in the comment of OpenCost's preset file."""
    text = files("modelrelease.metrics").joinpath("presets", "opencost.yaml").read_text()
    return " ".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#       "))


@pytest.fixture(scope="session")
def window(sandbox: Sandbox) -> Seen:
    """What came of twenty seconds in which all pages were scraped and all releases judged."""
    labels = ("namespace", "pod", "release")
    queries = {recording_rule(): labels, RECORDED: labels}
    pages = [*judged_presets.pages(), *troubled.pages()]
    return Window(pages, [*judged_presets.releases(), *troubled.releases()], queries).run(sandbox)
