"""What watches batchup from outside, as files: a dashboard for Grafana, alert rules for Prometheus."""

import importlib.resources
from typing import Final

DASHBOARD: Final = "dashboard.json"
ALERTS: Final = "alerts.yml"


def text_of(name: str) -> str:
    """Return one of the files, whole."""
    return (importlib.resources.files("batchup") / "monitoring" / name).read_text(encoding="utf-8")
