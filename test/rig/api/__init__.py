"""A scripted Kubernetes API server over HTTPS, what a client needs to reach it, and a cluster whose
agent does. It does on demand what a real one will not: delays, half answers, any status."""
