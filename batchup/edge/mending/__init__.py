"""What commands do to a job that does not run: audit, resolve, rerun, verify."""
