"""The command line: the operator itself, people's decisions, and the local cluster. Also `kubectl modelrelease`."""
