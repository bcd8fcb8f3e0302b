"""Benchmarks that anyone can run: `make bench-…` writes `build/bench/*.json`. Nothing in the tests asserts times."""
