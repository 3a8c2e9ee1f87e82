"""How a run is told of: the log, `status.json`, words for a person."""
