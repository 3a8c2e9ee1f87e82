"""The manifest's way into the core: rows read on from a mark, looked up, made into items."""
