"""The operator's own metrics, and structured logs that name the release.

One registry per process object, so that tests can run several operators side by side.
"""

import logging
import sys

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

REVERT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Telemetry:
    """Everything that /metrics shows."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.releases = Gauge("modelrelease_releases", "Releases by state.", ["state"], registry=registry)
        self.weight = Gauge(
            "modelrelease_candidate_weight_ratio",
            "Intended share of the candidate per segment, 0 to 1.",
            ["namespace", "release", "segment", "version"],
            registry=registry,
        )
        self.version_info = Gauge(
            "modelrelease_release_info",
            "1 for the version in each role: the version marker for dashboards.",
            ["namespace", "release", "role", "version", "revision"],
            registry=registry,
        )
        self.verdicts = Counter(
            "modelrelease_verdicts_total", "Verdicts by outcome.", ["outcome", "cause"], registry=registry
        )
        self.outcomes = Counter(
            "modelrelease_outcomes_total", "Finished rollouts by outcome.", ["outcome"], registry=registry
        )
        self.revert_seconds = Histogram(
            "modelrelease_revert_duration_seconds",
            "Decision to revert until the route was written.",
            registry=registry,
            buckets=REVERT_BUCKETS,
        )
        self.tick_seconds = Histogram(
            "modelrelease_tick_duration_seconds",
            "One collection from one source, queries included.",
            ["source"],
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
        )
        self.tick_lag = Gauge(
            "modelrelease_tick_lag_seconds", "How late the last collection began.", ["source"], registry=registry
        )
        self.source_up = Gauge(
            "modelrelease_source_up", "Whether a MetricsSource answered last time.", ["source"], registry=registry
        )
        self.api_calls = Counter(
            "modelrelease_api_calls_total", "Kubernetes API calls.", ["verb", "resource", "code"], registry=registry
        )
        self.api_seconds = Histogram(
            "modelrelease_api_duration_seconds", "Kubernetes API calls.", ["verb"], registry=registry
        )
        self.queries = Counter(
            "modelrelease_prometheus_queries_total", "Queries by result.", ["source", "result"], registry=registry
        )
        self.query_seconds = Histogram(
            "modelrelease_prometheus_query_duration_seconds", "Queries.", ["source"], registry=registry
        )
        self.leading = Gauge("modelrelease_leading", "1 while this process is the leader.", registry=registry)
        self.errors = Counter(
            "modelrelease_reconcile_errors_total", "Failed looks at a release.", ["kind"], registry=registry
        )

    def observe_api(self, verb: str, plural: str, status: int, seconds: float) -> None:
        """Count one API call."""
        self.api_calls.labels(verb, plural, str(status)).inc()
        self.api_seconds.labels(verb).observe(seconds)

    def exposition(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)


def set_up_logs(*, as_json: bool, level: str = "INFO") -> None:
    """Send structured logs to standard error: JSON lines for machines, colours for a terminal."""
    renderer: structlog.typing.Processor
    if as_json:
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    logging.basicConfig(level="WARNING", stream=sys.stderr, force=True)
    logging.getLogger("kopf._core.reactor.running").setLevel("ERROR")
