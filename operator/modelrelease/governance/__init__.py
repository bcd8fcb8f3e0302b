"""Who may let a release through, and the rules of that. Pure."""
