"""Faults for tests: what networks, crashes and other writers do."""
