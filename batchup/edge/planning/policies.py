"""What a job allows a run: its settings as the core takes them."""

from batchup.core.policy import Policy
from batchup.edge.limits import PLENTY, burst_of
from batchup.job import Job


def policy_of(job: Job, *, deadline_at: float | None = None) -> Policy:
    """Return what a job allows a run, in seconds of the run's clock."""
    rate, has_list = job.limits.rate, job.service.spelling.listing is not None
    on_in_doubt = job.run.on_in_doubt
    if not has_list and on_in_doubt == "reconcile":
        on_in_doubt = "hold"  # there is nothing to reconcile with
    return Policy(
        concurrency=job.limits.concurrency,
        open_creates=job.limits.open_creates,
        requests_per_s=None if rate is None else rate.count / rate.period_s,
        burst=PLENTY if rate is None else burst_of(rate.count),
        max_attempts=job.limits.max_attempts,
        max_spend=job.limits.max_spend,
        expected_s=job.polling.expected_s,
        has_webhooks=job.webhook is not None,
        has_list=has_list,
        may_survey=has_list and job.polling.list == "auto",
        deletes_uploads=job.prepare.delete_uploads,
        timeout_s=job.polling.timeout_s,
        on_in_doubt=on_in_doubt,
        request_timeout_s=job.service.request_timeout_s,
        listing_lag_s=job.service.listing_lag_s,
        settle_s=job.service.settle_s,
        deadline_at=deadline_at,
        cutoff=job.run.cutoff,
    )
