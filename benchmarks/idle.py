"""1,000 quiet releases: what the operator costs when nothing happens.

`start_to_ready_s`: from the operator's start with all releases present until it has looked at each of them.
`rss_mb` and `cpu_percent` are of the operator's process, read from /proc; `api_writes_per_min` comes from the API
server's audit log and leaves out the Lease, whose renewals are reported beside it.
"""

import argparse
import os
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import write
from modelrelease.sandbox import Sandbox
from modelrelease.sandbox.scene import Scene, default_gates, install, operator_part

OPERATOR = "system:serviceaccount:modelrelease-system:modelrelease-operator"
TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run the benchmark and write build/bench/idle.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=1000, help="how many releases (default 1000)")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long to watch them (default 120)")
    wanted = parser.parse_args()
    with Sandbox("bench-idle", with_traefik=False) as sandbox:
        install(sandbox)
        Scene(sandbox, "default").source()
        first = operator_part(sandbox, lease_duration_s=15.0)
        first.start()
        create(sandbox, wanted.releases)
        try:
            adopted(sandbox, wanted.releases, first.address)
        except OSError:
            print(first.log_tail())
            raise
        first.stop()
        operator = operator_part(sandbox, name="operator-measured", lease_duration_s=15.0)
        began = time.monotonic()
        operator.start()
        adopted(sandbox, wanted.releases, operator.address)
        start_to_ready_s = time.monotonic() - began
        time.sleep(10)
        figures = measure(sandbox, int(operator.pid or 0), wanted.seconds)
        operator.stop()
    write("idle", {"releases": wanted.releases, "start_to_ready_s": round(start_to_ready_s, 2), **figures})


def create(sandbox: Sandbox, count: int) -> None:
    """Services, routes and releases in one namespace, each release serving what its route serves already."""
    namespace = sandbox.create_namespace("idle")
    client = sandbox.client()
    for index in range(count):
        scene = Scene(sandbox, namespace, f"model-{index:04d}")
        service = {"ports": [{"name": "http", "port": 8080}], "clusterIP": "None"}
        client.create(
            f"/api/v1/namespaces/{namespace}/services",
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"{scene.name}-v1"}, "spec": service},
        )
        scene.route("v1")
        scene.release("v1", gates=default_gates(), watch="24h")
        if index % 100 == 99:
            print(f"{index + 1} of {count} releases created", flush=True)


def adopted(sandbox: Sandbox, count: int, address: str, timeout_s: float = 600.0) -> None:
    """Return when the operator's own metrics say that all releases are at rest."""
    deadline = time.monotonic() + timeout_s
    while settled(address) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{settled(address)} of {count} releases at rest after {timeout_s:.0f} s")
        time.sleep(0.2)


def settled(address: str) -> int:
    """How many releases are in state Settled, from /metrics."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{address}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith('modelrelease_releases{state="Settled"}')]
    return int(float(found[0].split()[-1])) if found else 0


def measure(sandbox: Sandbox, pid: int, seconds: float) -> dict[str, float]:
    """CPU share, memory and writes over a while."""
    began_at, began, cpu = datetime.now(UTC), time.monotonic(), cpu_s(pid)
    time.sleep(seconds)
    elapsed = time.monotonic() - began
    writes = [event for event in sandbox.audit_events() if event.user == OPERATOR and event.at > began_at]
    others = [event for event in writes if event.resource != "leases"]
    return {
        "rss_mb": round(rss_mb(pid), 1),
        "cpu_percent": round(100 * (cpu_s(pid) - cpu) / elapsed, 2),
        "api_writes_per_min": round(60 * len(others) / elapsed, 2),
        "lease_writes_per_min": round(60 * (len(writes) - len(others)) / elapsed, 2),
        "watched_s": round(elapsed, 1),
    }


def cpu_s(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss_mb(pid: int) -> float:
    """Resident memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    main()
