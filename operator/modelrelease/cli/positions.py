"""Where things stand in YAML files: each object with the line of its document, and the line of a field in it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Placed:
    """One object of a file. `content` is what YAML says, whatever that is; `node` knows the lines."""

    file: Path
    line: int
    content: Any
    node: Any

    def line_of(self, path: str) -> int:
        """The line of a field such as `spec.gates[0].max`, or of the nearest thing around it that is there."""
        node, line = self.node, self.line
        for name, index in re.findall(r"([A-Za-z]\w*)|\[(\d+)\]", path):
            node = _item(node, int(index)) if index else _value(node, name)
            if node is None:
                break
            line = node.start_mark.line + 1
        return line


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that is no YAML, and why."""

    file: Path
    line: int
    message: str


def files_in(paths: list[Path]) -> list[Path]:
    """The files, and those in the folders that look like manifests, each once, in order."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES and each.is_file())
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def objects_in(file: Path) -> Iterator[Placed | Unreadable]:
    """Every object of a file; those in a List one by one. OSError where the file cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
        for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
            if node is not None:
                yield from _objects(file, node)
    except UnicodeDecodeError:
        yield Unreadable(file, 1, "it is no text")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        yield Unreadable(file, line, f"not YAML: {getattr(error, 'problem', None) or error}")


def _objects(file: Path, node: Any) -> Iterator[Placed]:
    content = _constructed(node)
    if isinstance(content, dict) and content.get("kind") == "List" and isinstance(content.get("items"), list):
        items = _value(node, "items")
        for index, each in enumerate(content["items"]):
            inner = _item(items, index) or node
            yield Placed(file, inner.start_mark.line + 1, each, inner)
    elif content is not None:
        yield Placed(file, node.start_mark.line + 1, content, node)


def _constructed(node: Any) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _value(node: Any, name: str) -> Any | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if getattr(key, "value", None) == name), None)


def _item(node: Any, index: int) -> Any | None:
    return node.value[index] if isinstance(node, yaml.SequenceNode) and index < len(node.value) else None
