"""From how a run stands to samples: the figures that `status.json` has too, and those that were measured."""

from collections.abc import Mapping
from typing import Final

from batchup import __version__
from batchup.core.in_flight import SHOWN
from batchup.core.picture import Snapshot
from batchup.core.summary import Summary
from batchup.edge.metrics.exposition import Samples, Value, plain
from batchup.edge.metrics.measures import Measures
from batchup.edge.telling.status import Status

_Found = dict[str, Mapping[tuple[str, ...], Value]]

STATES: Final = ("saved", "failed", "held", "in_doubt", "rejected", "in_flight", "saving", "waiting")
"""The states that items are counted by."""


def samples_of(status: Status, updated_at: float, measures: Measures | None = None) -> Samples:
    """Return what there is to say of a run at `updated_at`, Unix time; `measures` of one in this process."""
    found: _Found = {
        "batchup_build_info": {(__version__,): 1.0},
        "batchup_updated_timestamp_seconds": {(): updated_at},
        "batchup_run_active": {(): float(status.is_running)},
        "batchup_items": items_by_state(status),
        **_standing(status.now, status.summary),
    }
    return found if measures is None else {**found, **_measured(measures)}


def items_by_state(status: Status) -> dict[tuple[str, ...], Value]:
    """Count the job's items by state; nothing of those that wait while nobody knows how many there are."""
    now, summary = status.now, status.summary
    counts = now if summary is None or not summary.items else summary
    told = {state: getattr(counts, state) for state in ("saved", "failed", "held", "in_doubt", "rejected")}
    told["in_flight"] = _in_flight(status)
    told["saving"] = now.saving
    total = now.total if counts is now else summary.items if summary is not None else None
    if total is not None:
        told["waiting"] = max(0, total - sum(told.values()))
    return {(state,): float(told[state]) for state in STATES if state in told}


def _in_flight(status: Status) -> int:
    """Count what is in flight, and not what is held: of that nobody knows whether it is."""
    if status.is_running and len(status.running) < SHOWN:
        return len(status.running)
    return max(0, status.now.in_flight - status.now.held)


def _standing(now: Snapshot, summary: Summary | None) -> _Found:
    is_paused = summary is None and now.note is not None and not now.is_stopping
    told = {
        "batchup_requests_last_minute": now.requests_last_minute,
        "batchup_requests_allowed_per_minute": now.rate_limit,
        "batchup_slots": now.concurrency,
        "batchup_slots_used": now.in_flight + now.in_doubt,
        "batchup_spend_usd_total": round(now.job_spend_usd, 6),
        "batchup_run_spend_usd": round(now.spend_usd, 6),
        "batchup_spend_limit_usd": now.max_spend_usd,
        "batchup_creates_paused": is_paused,
        "batchup_eta_seconds": now.eta_s if summary is None else None,
        "batchup_creates_end_seconds": now.creates_end_s if summary is None else None,
    }
    return plain(told)


def _measured(measures: Measures) -> _Found:
    waits, (sent, allowed) = measures.waits, measures.in_period()
    return {
        **plain({"batchup_period_requests": sent, "batchup_period_requests_allowed": allowed}),
        "batchup_run_start_timestamp_seconds": {(): measures.started_at},
        "batchup_items_ended_total": _by_label(measures.ended),
        "batchup_item_failures_total": _by_label(measures.failures),
        "batchup_attempts_failed_total": {(): float(measures.attempts_failed)},
        "batchup_predictions_created_total": {(): float(measures.created)},
        "batchup_requests_total": {labels: float(count) for labels, count in measures.requests.items()},
        "batchup_request_duration_seconds": {(kind,): found for kind, found in measures.request_s.items()},
        "batchup_permit_waits_total": {(): float(waits.count)},
        "batchup_permit_wait_seconds_total": {(): waits.total_s},
        "batchup_prediction_duration_seconds": {(): measures.prediction_s},
        "batchup_save_duration_seconds": {(): measures.save_s},
        "batchup_saved_bytes_total": {(): float(measures.saved_bytes)},
    }


def _by_label(counts: Mapping[str, int]) -> dict[tuple[str, ...], Value]:
    return {(name,): float(count) for name, count in counts.items()}
