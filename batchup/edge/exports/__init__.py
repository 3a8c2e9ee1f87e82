"""What other programs read of a job: its results and rejects, and files that a person asks for."""
