"""A real Kubernetes API server, a client of it, and a cluster whose agent is told its objects by it."""
