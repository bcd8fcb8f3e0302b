"""Results as JUnit XML, as test runners write it: each test suite is a scenario, each test case one of its cases.

A case counts as passed when it has neither failure, error nor skipped; what was skipped is not known to be good and
counts as a case all the same. Document type declarations are refused, so that there is no entity to expand and nothing
to fetch. Rejected: ElementTree, which builds the whole tree before anything can be refused.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from xml.parsers import expat

from modelrelease.cli.results import Results, ResultsError, Wanted, label

METRIC = "pass-rate"
MAX_CASES, MAX_DEPTH = 1_000_000, 32


@dataclass(slots=True)
class _Case:
    suite: str
    good: bool = True
    properties: dict[str, str] = field(default_factory=dict)


class _Reader:
    """Collects cases while the parser reports elements."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._no_doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.cases: list[_Case] = []
        self.times: list[str] = []
        self.name = ""
        self._open: list[str] = []
        self._suites: list[tuple[str, dict[str, str]]] = []
        self._case: _Case | None = None

    def fail(self, message: str) -> ResultsError:
        """An error at the present position."""
        where = f"line {self.parser.CurrentLineNumber}, column {self.parser.CurrentColumnNumber + 1}"
        return ResultsError(where, message)

    def _no_doctype(self, *_: Any) -> None:
        raise self.fail("a document type declaration is not accepted: remove it")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._open.append(tag)
        if len(self._open) > MAX_DEPTH:
            raise self.fail(f"elements are nested deeper than {MAX_DEPTH}: this is no JUnit report")
        if len(self._open) == 1 and tag not in ("testsuites", "testsuite"):
            raise self.fail(f"the root is {tag}; JUnit XML begins with testsuites or testsuite")
        match tag:
            case "testsuites" | "testsuite":
                self._suite(tag, attributes)
            case "testcase":
                self._begin_case()
            case "failure" | "error" | "skipped" if self._case is not None:
                self._case.good = False
            case "property":
                self._property(attributes)

    def _suite(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) == 1:
            self.name = attributes.get("name", "")
        if attributes.get("timestamp"):
            self.times.append(attributes["timestamp"])
        if tag == "testsuite":
            inherited = dict(self._suites[-1][1]) if self._suites else {}
            self._suites.append((attributes.get("name") or f"suite {len(self.cases)}", inherited))

    def _begin_case(self) -> None:
        if not self._suites:
            raise self.fail("a testcase stands outside of a testsuite: put it into one")
        if len(self.cases) >= MAX_CASES:
            raise self.fail(f"there are more than {MAX_CASES:,} test cases: submit counts as JSON instead")
        name, inherited = self._suites[-1]
        self._case = _Case(name, properties=dict(inherited))
        self.cases.append(self._case)

    def _property(self, attributes: dict[str, str]) -> None:
        name, value = attributes.get("name"), attributes.get("value", "")
        if not name:
            raise self.fail("a property has no name: add it")
        if self._case is not None:
            self._case.properties[name] = value
        elif self._suites:
            self._suites[-1][1][name] = value

    def _end(self, tag: str) -> None:
        self._open.pop()
        if tag == "testsuite":
            self._suites.pop()
        elif tag == "testcase":
            self._case = None


def looks_like(content: bytes) -> bool:
    """XML."""
    return content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def read(content: bytes, wanted: Wanted) -> Results:
    """Read it. Raises ResultsError with line and column."""
    reader = _Reader()
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as error:
        where = f"line {error.lineno}, column {error.offset + 1}"
        raise ResultsError(where, f"it is not XML: {expat.errors.messages[error.code]}") from error
    if not reader.cases:
        raise ResultsError("", "there is no testcase in it: an empty run says nothing")
    results = Results(suite={"name": reader.name} if reader.name else {}, produced_at=_newest(reader.times))
    good = sum(case.good for case in reader.cases)
    results.add("metrics", {"name": METRIC, "count": good, "total": len(reader.cases)})
    for name, cases in _by(reader.cases, lambda case: case.suite).items():
        passed = sum(case.good for case in cases)
        section = "redTeam" if wanted.red_team else "scenarios"
        results.add(section, {"name": name[:128], "passed": passed, "total": len(cases)})
    for dimension in wanted.subgroup_by:
        _subgroups(results, reader.cases, dimension)
    return results


def _subgroups(results: Results, cases: list[_Case], dimension: str) -> None:
    groups = _by(cases, lambda case: case.properties.get(dimension, ""))
    without = groups.pop("", [])
    if not groups:
        known = sorted({name for case in cases for name in case.properties})
        raise ResultsError("--subgroup-by", f"no test case has a property {dimension}; they have {known or 'none'}")
    if without:
        raise ResultsError("--subgroup-by", f"{len(without)} test cases have no property {dimension}: add it to them")
    for group, members in groups.items():
        metric = {"name": METRIC, "count": sum(case.good for case in members), "total": len(members)}
        results.add("subgroups", {"dimension": label(dimension), "group": group[:128], "metrics": [metric]})


def _by(cases: list[_Case], key: Any) -> dict[str, list[_Case]]:
    found: dict[str, list[_Case]] = {}
    for case in cases:
        found.setdefault(key(case), []).append(case)
    return found


def _newest(times: list[str]) -> str:
    """The newest time of a suite in UTC; a time without a zone is read as UTC, as test runners write it."""
    found = []
    for text in times:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            continue
        found.append(moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC))
    return max(found).isoformat(timespec="seconds").replace("+00:00", "Z") if found else ""
