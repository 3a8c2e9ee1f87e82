"""Every metric there is: its name, its kind, what it says, and by what it is told apart.

Names and units follow Prometheus: base units, `_total` at the end of what only grows, no unit abbreviated but
USD. Each has the label `batchup_job` before its own: several jobs of a machine have a file each, and the
label `job` is the scraper's.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["gauge", "counter", "histogram"]

JOB_LABEL: Final = "batchup_job"
"""The label that every metric has: the job's name."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. What `is_kept` a run that has nothing to say of it leaves as the last one told it.

    `labels` are those beside the job's, in order; `bounds` the upper bounds of a histogram's buckets, in
    seconds.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    is_kept: bool = False
    bounds: tuple[float, ...] = ()


_LONG: Final = (1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 75, 90, 120, 180, 300, 600, 1200, 1800)
_SHORT: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

METRICS: Final = (
    Metric("batchup_build_info", "gauge", "The version of batchup; always 1.", ("version",)),
    Metric("batchup_updated_timestamp_seconds", "gauge", "When these figures were taken, Unix time."),
    Metric("batchup_run_active", "gauge", "1 while a run goes on, 0 when it has ended."),
    Metric("batchup_run_start_timestamp_seconds", "gauge", "When the run began, Unix time."),
    Metric(
        "batchup_last_run_end_timestamp_seconds",
        "gauge",
        "When a run ended last, Unix time.",
        is_kept=True,
    ),
    Metric(
        "batchup_last_success_timestamp_seconds",
        "gauge",
        "When a run last ended with nothing paid left open (exit codes 0, 3 and 75), Unix time.",
        is_kept=True,
    ),
    Metric(
        "batchup_last_run_success",
        "gauge",
        "1 if the last run ended with nothing paid left open (exit codes 0, 3 and 75), else 0.",
        is_kept=True,
    ),
    Metric(
        "batchup_last_run_needs_person",
        "gauge",
        "1 if nothing goes on after the last run before somebody has mended or decided something, else 0.",
        is_kept=True,
    ),
    Metric("batchup_last_run_exit_code", "gauge", "What the last run exited with.", is_kept=True),
    Metric(
        "batchup_last_run_info",
        "gauge",
        "Why the last run ended, in the summary's word; always 1.",
        ("reason",),
        is_kept=True,
    ),
    Metric("batchup_last_run_duration_seconds", "gauge", "How long the last run took.", is_kept=True),
    Metric(
        "batchup_last_run_worst_window_requests",
        "gauge",
        "The most requests that the last run sent in any period of the rate.",
        is_kept=True,
    ),
    Metric(
        "batchup_last_run_optimum_ratio",
        "gauge",
        "The last run's pace as a share of the best that is possible; not there where it says nothing.",
        is_kept=True,
    ),
    Metric(
        "batchup_items",
        "gauge",
        "Items of the job by state, as far as the manifest was read; waiting once it is counted.",
        ("state",),
        is_kept=True,
    ),
    Metric(
        "batchup_items_ended_total",
        "counter",
        "Items that came to an end in this run, by their state then; outstanding: left to the next run.",
        ("state",),
    ),
    Metric(
        "batchup_item_failures_total",
        "counter",
        "Items that failed, are held or left in this run, by the kind of their failure.",
        ("kind",),
    ),
    Metric(
        "batchup_attempts_failed_total", "counter", "Attempts of this run that failed and are made again."
    ),
    Metric(
        "batchup_predictions_created_total",
        "counter",
        "Creates that were accepted, by the answer or, where there was none, by the list.",
    ),
    Metric(
        "batchup_requests_total",
        "counter",
        "Requests of this run by what they asked for (create, poll, list, inspect, presign, account), as the"
        " log has it, and by the answer's HTTP status; none: no answer.",
        ("kind", "answer"),
    ),
    Metric(
        "batchup_request_duration_seconds",
        "histogram",
        "How long requests took until they were answered or given up, real time.",
        ("kind",),
        bounds=_SHORT,
    ),
    Metric("batchup_requests_last_minute", "gauge", "Requests in the last minute of the service's time."),
    Metric(
        "batchup_requests_allowed_per_minute",
        "gauge",
        "Requests that the limit allows a minute; not there without a limit.",
    ),
    Metric("batchup_period_requests", "gauge", "Requests of this run in the last period of the rate."),
    Metric(
        "batchup_period_requests_allowed",
        "gauge",
        "Requests that the rate allows in any of its periods; not there without a limit.",
    ),
    Metric(
        "batchup_permit_waits_total",
        "counter",
        "How often in this run a request was worth sending and had to wait for a permit.",
    ),
    Metric(
        "batchup_permit_wait_seconds_total",
        "counter",
        "How long in this run requests worth sending waited for a permit, real time.",
    ),
    Metric("batchup_slots", "gauge", "Predictions that may be in flight."),
    Metric("batchup_slots_used", "gauge", "Slots of this run that are taken, in doubt and held included."),
    Metric(
        "batchup_prediction_duration_seconds",
        "histogram",
        "From a create's answer until the end was seen, for predictions of this run, the service's time.",
        bounds=_LONG,
    ),
    Metric(
        "batchup_save_duration_seconds",
        "histogram",
        "From a prediction's end until its outputs were on disk, real time.",
        bounds=_SHORT,
    ),
    Metric("batchup_saved_bytes_total", "counter", "Size of the outputs that this run has saved."),
    Metric(
        "batchup_spend_usd_total",
        "counter",
        "What the job's predictions cost over all of its runs, in USD.",
        is_kept=True,
    ),
    Metric("batchup_run_spend_usd", "gauge", "What the predictions of this run cost, in USD."),
    Metric(
        "batchup_spend_limit_usd",
        "gauge",
        "The most that the job may cost over all of its runs, in USD; not there without a limit.",
        is_kept=True,
    ),
    Metric(
        "batchup_creates_paused",
        "gauge",
        "1 while something holds creates back: a pause, no credit, a service that does not answer.",
    ),
    Metric(
        "batchup_eta_seconds",
        "gauge",
        "How long the run will probably go on, the service's time; not there while nothing tells.",
    ),
    Metric(
        "batchup_creates_end_seconds",
        "gauge",
        "How long creates are sent still, the service's time; not there without a deadline.",
    ),
)
"""All metrics, in the order in which they are written."""

BY_NAME: Final = {metric.name: metric for metric in METRICS}
