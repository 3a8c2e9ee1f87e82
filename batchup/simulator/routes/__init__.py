"""The service's routes, a family a module: each handler turns a call into an answer."""
