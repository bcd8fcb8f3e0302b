"""Kubernetes' times as numbers, to compare them with the load generator's clock."""

from datetime import datetime


def seconds(moment: str) -> float:
    """`2026-11-21T12:23:43.616820Z` as seconds since the epoch."""
    return datetime.fromisoformat(moment).timestamp()
