"""A run that nobody watches: systemd is told how it goes, and one that hangs is ended."""
