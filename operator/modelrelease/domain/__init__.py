"""The nouns of a release as frozen dataclasses: unit, stage, exposure, gate, evidence, verdict, decision, record.

Nothing here knows Kubernetes, Prometheus, a clock or a third-party package, so that every decision made over these
values can be replayed from a record. The rejected alternative was to let the pydantic models of `api` travel through
the engine: the wire format would then decide how the engine may change.
"""
