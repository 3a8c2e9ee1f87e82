"""All input and output: thin, and without policy."""
