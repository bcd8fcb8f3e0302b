"""Judging: evidence in, verdicts out. Pure."""
