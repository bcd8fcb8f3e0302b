"""The prompt of the digit model: a short text that says how to look at a picture before the model sees it.

    look: ink
    inkFrom: 4

`grey` shows the picture as it is. `ink` shows it in black and white: pixels of `inkFrom` (1 to 16) or more are black.
The server reads it from the bundle of the release that a request names. Rejected: words that only look like a prompt;
what is released here must change answers, so that the gates have something to find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

BRIGHTEST = 16
GREY, INK = "grey", "ink"


class InstructionError(ValueError):
    """A text that cannot be followed; the message names the field and what to write."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """How to look at a picture. `ink_from` None: as it is; else the least value of a pixel that counts as ink."""

    ink_from: int | None = None

    def seen(self, pixels: Sequence[int]) -> list[float]:
        """What the model is shown of pixels from 0 to 16, from 0 to 1."""
        if self.ink_from is None:
            return [pixel / BRIGHTEST for pixel in pixels]
        return [float(pixel >= self.ink_from) for pixel in pixels]


def read_instruction(text: str) -> Instruction:
    """The instruction in a text; InstructionError when it cannot be followed to the letter."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InstructionError(f"the instruction is no YAML: {error}") from error
    if not isinstance(found, dict):
        raise InstructionError(f"the instruction must say look: {GREY} or look: {INK}")
    fields = dict(found)
    look, ink_from = fields.pop("look", None), fields.pop("inkFrom", None)
    if fields:
        raise InstructionError(f"{min(map(str, fields))}: there is no such field; there are look and inkFrom")
    if look == GREY and ink_from is None:
        return Instruction()
    if look == INK and isinstance(ink_from, int) and 1 <= ink_from <= BRIGHTEST:
        return Instruction(ink_from)
    if look == INK:
        raise InstructionError(f"inkFrom: write a whole number from 1 to {BRIGHTEST}, not {ink_from}")
    raise InstructionError(f"look: write {GREY}, or {INK} with inkFrom, not {look} with inkFrom {ink_from}")
