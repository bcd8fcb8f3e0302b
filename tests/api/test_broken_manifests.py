"""Bad input tried as a new user would: each broken manifest is refused with its field and the mend."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.errors import ApiError
from tests.api.objects import create

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))


def test_there_are_enough_of_them() -> None:
    assert len(BROKEN) >= 25


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_the_api_server_says_which_field_and_what_to_write(path: Path, installed: Sandbox) -> None:
    text = path.read_text(encoding="utf-8")
    expected = re.findall(r"^# expect: (.*)$", text, re.MULTILINE)
    assert expected, "say in a comment what the message must contain"
    doc = yaml.safe_load(text)
    with pytest.raises(ApiError) as refusal:
        create(installed.client(), doc, dry_run=True)
    assert refusal.value.status in (400, 422), refusal.value.message
    for fragment in expected:
        assert fragment in refusal.value.message
