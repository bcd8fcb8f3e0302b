"""Prometheus: typed metrics to PromQL, raw counters to evidence."""
