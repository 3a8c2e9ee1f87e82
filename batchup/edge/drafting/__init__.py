"""A first job file for a manifest: which column is what, and every parameter with its meaning."""
