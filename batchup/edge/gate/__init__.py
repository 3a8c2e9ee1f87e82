"""The limits beyond this process: leases and slots on disk, shared by all runs that use one key."""
