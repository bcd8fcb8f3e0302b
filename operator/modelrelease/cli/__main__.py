"""`python -m modelrelease.cli`: the same as the command `modelrelease`."""

from modelrelease.cli.main import main

main()
