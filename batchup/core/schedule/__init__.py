"""A job that is started every night: what is started when, and how systemd, cron and Kubernetes are told."""
