"""What the operator process is told when it starts: one frozen value, unit and default beside each field."""

import uuid
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Settings of one operator process. Times are in seconds."""

    kubeconfig: Path | None = None
    """Kubeconfig file; None: the pod's service account, else the default kubeconfig."""

    context: str = ""
    """Context of the kubeconfig; "": its current one."""

    lease_namespace: str = "modelrelease-system"
    """Where the leader's Lease is."""

    lease_name: str = "modelrelease-operator"
    """The Lease's name; the shipped admission policy reads the same one."""

    lease_duration_s: float = 15.0
    """How long a leader that is not heard of keeps the Lease."""

    lease_renew_s: float = 3.0
    """How often the leader renews. A leader that could not renew for two thirds of the duration stops writing."""

    listen_host: str = "127.0.0.1"
    listen_port: int = 8080
    """Where /healthz, /readyz and /metrics are; port 0 picks a free one."""

    credentials_dir: Path = Path("/etc/modelrelease/credentials")
    """The folder that MetricsSource credentials are named in."""

    api_timeout_s: float = 5.0
    """Deadline of one API call. Far shorter than the client's own default, which is longer than any sensible revert."""

    workers: int = 16
    """How many releases are worked on at the same time."""

    resync_s: float = 30.0
    """How often everything watched is listed again: what a watch missed is found, and a watch that misses is ended."""

    healthy_periods: int = 6
    """/healthz fails when no check of a release in traffic has completed in this many ticks."""

    endpoints_period_s: float = 2.0
    """How often ready endpoints of releases in traffic are read."""

    unit_check_s: float = 60.0
    """How often the content of a unit in traffic is compared with its digest."""

    bundle_history: int = 10
    """How many bundles of units that nobody serves any more are kept for each release."""

    instance: str = ""
    """What this process is the only one in at any time, such as its pod's UID; "" where that is not known. A holder in
    the same instance has ended, or this process would not run: its Lease is taken over without waiting."""

    process_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """The identity of this process in Lease and holder annotations: new at each start, so an old one never counts."""
