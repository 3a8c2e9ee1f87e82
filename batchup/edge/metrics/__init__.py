"""Figures of a run for Prometheus: in a file for the node exporter, and at `/metrics` of the live view."""
