"""Where runs are started from: timers of systemd, the user's crontab; described, installed, taken away."""
