"""Outputs on their way home: fetched from addresses that may be fetched from, named, kept, placed."""
