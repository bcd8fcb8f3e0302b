"""The operator as a process against the real API server, Prometheus and Traefik."""
