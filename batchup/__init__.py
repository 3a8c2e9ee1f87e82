"""Runs a manifest of images through a paid, rate-limited, create-then-poll prediction API."""

__version__ = "0.1.0"
