"""How a job's settings are read: the known keys, their bounds, and where each value came from."""
