"""The state machine of one release, as data and one pure function."""
