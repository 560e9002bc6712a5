"""A cluster in network namespaces, the agent in its node, and programs that talk to it."""
