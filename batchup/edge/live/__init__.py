"""The live view: the report's page over HTTP, told of changes as they come, for whoever has its address."""
