"""The state machine of one release: a table of states, chains of checks, and one pure function that decides.

`plan(release, progress, observed, now)` has no clock, no network and no randomness, so a year of rollouts runs in a
test in seconds and any decision can be replayed from its record.
"""
