"""Items that ask for the same: found, kept waiting for the one that is bought, and given its files."""
