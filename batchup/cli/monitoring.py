"""`batchup monitoring dashboard|alerts|metrics`: what watches batchup from outside, printed."""

from collections.abc import Callable, Mapping
from typing import Final

import click

from batchup.monitoring import ALERTS, DASHBOARD, text_of

EPILOG = """\b
Examples:
  batchup monitoring metrics
  batchup monitoring dashboard
  batchup monitoring alerts

\b
The node exporter reads the file in the folder that it is given with
--collector.textfile.directory, one for each job. The live view is scraped by
  scrape_configs:
    - job_name: batchup
      static_configs: [{targets: ["127.0.0.1:8787"]}]
"""


def _metrics() -> str:
    """Return each metric with its kind, its labels and what it says, a block each."""
    from batchup.edge.metrics.catalogue import JOB_LABEL, METRICS  # noqa: PLC0415 -h stays quick

    formatter = click.HelpFormatter(width=80)
    for metric in METRICS:
        labels = ", ".join((JOB_LABEL, *metric.labels))
        formatter.write(f"{metric.name} ({metric.kind}; {labels})\n")
        with formatter.indentation():
            formatter.write_text(metric.help)
    return formatter.getvalue()


_WHAT: Final[Mapping[str, Callable[[], str]]] = {
    "dashboard": lambda: text_of(DASHBOARD),
    "alerts": lambda: text_of(ALERTS),
    "metrics": _metrics,
}


@click.command(name="monitoring", epilog=EPILOG)
@click.argument("what", type=click.Choice(list(_WHAT)), metavar="dashboard|alerts|metrics")
def command(what: str) -> None:
    """Print what watches batchup from outside: a Grafana dashboard, Prometheus' alerts, the list of metrics.

    The metrics are in the file that `batchup run --metrics-file FILE.prom` keeps, for Prometheus' node
    exporter, and while a live view is served at its /metrics: there whoever asks from this machine may read
    them without the view's secret, as they name no item, and from elsewhere below the address that
    was printed. Scrape one of the two.
    """
    click.echo(_WHAT[what](), nl=False)
