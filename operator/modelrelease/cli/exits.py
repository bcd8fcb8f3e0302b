"""Exit codes that scripts can rely on, and what to ask for when something may not be read."""

EXIT_ERROR, EXIT_USAGE, EXIT_NOT_FOUND, EXIT_DENIED = 1, 2, 3, 4
"""It failed or found something wrong; wrong usage; not there; not allowed."""

MAY_READ = "ask for the ClusterRole modelrelease-view (cluster-wide for templates and sources) and httproutes in {}"
"""What somebody needs who may not read what a command reads."""
