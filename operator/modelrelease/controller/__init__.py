"""kopf handlers, the tick, executing actions in the safe order, the Lease, status writing."""
