"""kopf handlers, the tick, executing actions in the safe order, the Lease, status writing.

The controller gathers and applies; it never judges. Everything that decides is in `engine`, everything that judges in
`gates`, and both are pure.
"""
