"""The decisions: no I/O, no clock, no randomness, nothing that waits."""
