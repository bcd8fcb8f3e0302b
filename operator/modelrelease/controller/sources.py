"""MetricsSource objects as settings of a collector."""

from modelrelease.api.metricssource import Source
from modelrelease.domain.release import Fault
from modelrelease.metrics.source import SourceSettings


def settings_of(source: Source | tuple[Fault, ...]) -> SourceSettings | None:
    """How to ask a source; None when the object is not usable."""
    if not isinstance(source, Source):
        return None
    return SourceSettings(
        name=source.name,
        address=source.address,
        tick_s=float(source.tick_s),
        scrape_interval_s=float(source.scrape_s),
        timeout_s=float(source.timeout_s),
        bearer_token_file=source.bearer_token_file,
        client_cert_file=source.client_certificate_file,
        client_key_file=source.client_key_file,
        ca_file=source.ca_file,
    )
