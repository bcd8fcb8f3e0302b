"""The kind MetricsSource: where a Prometheus is and how to log in. Platform teams write it; releases only name it.

Credentials are named as files of one fixed folder that is mounted into the operator. Rejected: references to Secrets
(the operator would need to read Secrets everywhere) and paths (a source could then read any file of the operator).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from modelrelease.api.base import Duration, Matches, SpecModel, StatusModel, rule, rules
from modelrelease.api.faults import fault, faults_of
from modelrelease.api.quantities import DURATION_PATTERN, seconds_of
from modelrelease.domain.release import Fault

FileName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Matches(
        "^[A-Za-z0-9_-][A-Za-z0-9._-]*$",
        "write the name of a file in the operator's credentials folder, without '/' and not starting with '.'",
    ),
]
NamespaceOrAll = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Matches("^([*]|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$", "write the name of a namespace, or * for every namespace"),
]


def _ordered(smaller: str, larger: str) -> str:
    return (
        f"!has(self.{smaller}) || !has(self.{larger}) || !self.{smaller}.matches('{DURATION_PATTERN}') "
        f"|| !self.{larger}.matches('{DURATION_PATTERN}') || duration(self.{smaller}) <= duration(self.{larger})"
    )


def _at_least(field: str, least: str) -> str:
    malformed = f"!self.{field}.matches('{DURATION_PATTERN}')"
    return f"!has(self.{field}) || {malformed} || duration(self.{field}) >= duration('{least}')"


class SourceAuth(SpecModel):
    """How to log in: names of files in the operator's credentials folder, read anew at each use."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.clientCertificateFile) == has(self.clientKeyFile)",
                "a client certificate and its key go together: write both clientCertificateFile and clientKeyFile",
                field=".clientKeyFile",
            )
        )
    )

    bearer_token_file: FileName | None = Field(
        None, description="File with a bearer token. Only its name: the folder is fixed (--credentials-dir)."
    )
    client_certificate_file: FileName | None = Field(
        None, description="File with a client certificate in PEM form, for mutual TLS."
    )
    client_key_file: FileName | None = Field(None, description="File with the key of the client certificate.")
    ca_file: FileName | None = Field(
        None, description="File with the certificates that the server's is checked against; the system's when left out."
    )


class MetricsSourceSpec(SpecModel):
    """Where a Prometheus is, how often it is asked and who may use it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                _at_least("tickInterval", "1s"),
                "tickInterval is at least 1s: a shorter one only asks for the same samples again",
                field=".tickInterval",
            ),
            rule(
                _at_least("scrapeInterval", "1s"),
                "scrapeInterval is at least 1s: write what scrape_interval of the Prometheus says",
                field=".scrapeInterval",
            ),
            rule(_at_least("timeout", "1s"), "timeout is at least 1s", field=".timeout"),
            rule(
                _ordered("timeout", "tickInterval"),
                "timeout is longer than tickInterval, so that answers would pile up: lower timeout or raise "
                "tickInterval",
                field=".timeout",
            ),
        )
    )

    address: Annotated[
        str,
        Field(min_length=1, max_length=1024),
        Matches(
            "^https?://[^ ?#@]+$",
            "write http:// or https://, host and port, such as http://prometheus.monitoring:9090; no user, query or "
            "'#'",
        ),
    ] = Field(description="Base address of the Prometheus HTTP API, without /api/v1. Redirects are not followed.")
    tick_interval: Duration = Field(
        "5s", description="How often the source is asked, at least 1s. Releases are judged when their sources answered."
    )
    scrape_interval: Duration = Field(
        "15s",
        description="How often this Prometheus scrapes. Samples older than a few of it count as too old: no data.",
    )
    timeout: Duration | None = Field(
        None, description="How long one query may take, at most tickInterval. Default: tickInterval, at most 10s."
    )
    auth: SourceAuth | None = Field(None, description="How to log in; nothing is sent when left out.")
    allowed_namespaces: Annotated[
        list[NamespaceOrAll], Field(min_length=1, max_length=512, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = Field(
        ["*"],
        description="Namespaces whose releases may name this source; * is every namespace (default). A release "
        "elsewhere gets EvidenceFresh=False with reason SourceNotAllowed.",
    )


class MetricsSource(StatusModel):
    """A Prometheus that releases may be judged by: address, interval, login by file name, and who may use it."""

    spec: MetricsSourceSpec = Field(description="Where a Prometheus is, how often it is asked and who may use it.")


@dataclass(frozen=True, slots=True)
class Source:
    """A MetricsSource as the operator uses it. Files are bare names inside the credentials folder."""

    name: str
    address: str
    tick_s: int
    scrape_s: int
    timeout_s: int
    bearer_token_file: str | None = None
    client_certificate_file: str | None = None
    client_key_file: str | None = None
    ca_file: str | None = None
    allowed_namespaces: tuple[str, ...] = ("*",)

    def allows(self, namespace: str) -> bool:
        """Whether releases of `namespace` may name this source."""
        return "*" in self.allowed_namespaces or namespace in self.allowed_namespaces


def source_of(obj: Mapping[str, Any]) -> Source | tuple[Fault, ...]:
    """Read a MetricsSource; faults with field paths where it is wrong."""
    try:
        spec = MetricsSourceSpec.model_validate(obj.get("spec"))
    except ValidationError as error:
        return faults_of(error, "spec")
    if faults := tuple(_interval_faults(spec)):
        return faults
    tick = max(1, seconds_of(spec.tick_interval))
    auth = spec.auth or SourceAuth()
    return Source(
        name=obj["metadata"]["name"],
        address=spec.address.rstrip("/"),
        tick_s=tick,
        scrape_s=max(1, seconds_of(spec.scrape_interval)),
        timeout_s=max(1, min(tick, seconds_of(spec.timeout) if spec.timeout else 10)),
        bearer_token_file=auth.bearer_token_file,
        client_certificate_file=auth.client_certificate_file,
        client_key_file=auth.client_key_file,
        ca_file=auth.ca_file,
        allowed_namespaces=tuple(spec.allowed_namespaces),
    )


def _interval_faults(spec: MetricsSourceSpec) -> Iterator[Fault]:
    """What the API server's rules say about the intervals, for objects that were not checked by them."""
    intervals = {"tickInterval": spec.tick_interval, "scrapeInterval": spec.scrape_interval, "timeout": spec.timeout}
    for field, text in intervals.items():
        if text is not None and seconds_of(text) < 1:
            yield fault(f"spec.{field}", f"it is at least 1s, not {text}")
    if spec.timeout is not None and seconds_of(spec.timeout) > seconds_of(spec.tick_interval):
        yield fault(
            "spec.timeout",
            "it is longer than tickInterval, so that answers would pile up: lower timeout or raise tickInterval",
        )
