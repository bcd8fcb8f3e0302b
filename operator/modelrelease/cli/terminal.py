"""Text for a terminal: what hides in it is shown, and what is too long for a line is wrapped."""

import shutil
import textwrap
from collections.abc import Iterable, Iterator
from typing import TextIO
from unicodedata import category

LABEL_WIDTH = 13
"""Where the text of a line begins, behind its label."""

LEAST_WIDTH, MOST_WIDTH = 60, 110
"""How narrow and how wide wrapped lines become, whatever the terminal."""


def one_line(text: str) -> str:
    """Text with what a producer may have hidden in a name made visible: line ends, escapes, marks of direction."""
    return "".join(char if category(char) not in ("Cc", "Cf", "Zl", "Zp") else ascii(char)[1:-1] for char in text)


def width_of(stream: TextIO) -> int | None:
    """How many columns lines may have on a terminal; None where the stream is none, and nothing is wrapped."""
    if not stream.isatty():
        return None
    return max(LEAST_WIDTH, min(MOST_WIDTH, shutil.get_terminal_size((80, 24)).columns))


def wrapped(lines: Iterable[str], width: int | None) -> Iterator[str]:
    """Each line in `width` columns, what does not fit under where its text began. What hides in a line is shown."""
    for line in map(one_line, lines):
        if width is None:
            yield line
        else:
            yield from textwrap.wrap(line, width, subsequent_indent=" " * LABEL_WIDTH, break_on_hyphens=False) or [""]
