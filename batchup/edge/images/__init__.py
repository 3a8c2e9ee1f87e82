"""Pictures on their way to the service: where their bytes are, whether they are whole, how they get there."""
