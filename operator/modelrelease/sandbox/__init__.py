"""A real local cluster without containers."""
