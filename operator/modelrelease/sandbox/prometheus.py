"""Prometheus' configuration: Traefik as a fixed target, everything else from a file that is rewritten while it runs.

Rejected: Kubernetes service discovery. Without a kubelet there are no Pods to discover.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """`address` is host:port, scraped at /metrics; `labels` are added to every series, as is `job`."""

    job: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)


class ScrapeTargets:
    """The list of targets and the file in which Prometheus reads it. Thread-safe."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._targets: dict[tuple[str, str], ScrapeTarget] = {}
        self._lock = threading.Lock()

    def add(self, target: ScrapeTarget) -> None:
        """Add, or replace the labels of the same job and address."""
        with self._lock:
            self._targets[target.job, target.address] = target
            self._write()

    def remove(self, job: str, address: str) -> None:
        with self._lock:
            self._targets.pop((job, address), None)
            self._write()

    def _write(self) -> None:
        groups = [
            {"targets": [target.address], "labels": {**target.labels, "job": target.job}}
            for target in self._targets.values()
        ]
        draft = self._file.with_suffix(".tmp")
        draft.write_text(json.dumps(groups, indent=1))
        draft.replace(self._file)


def configuration(*, scrape_interval_s: float, traefik_address: str | None, targets_file: Path) -> str:
    """The YAML of prometheus.yaml. `traefik_address` None: no gateway in this sandbox."""
    interval = f"{round(scrape_interval_s * 1000)}ms"
    jobs: list[dict[str, Any]] = [
        {"job_name": "sandbox", "file_sd_configs": [{"files": [str(targets_file)], "refresh_interval": "1s"}]}
    ]
    if traefik_address is not None:
        jobs.append({"job_name": "traefik", "static_configs": [{"targets": [traefik_address]}]})
    return yaml.safe_dump(
        {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "scrape_configs": jobs,
        },
        sort_keys=False,
    )
