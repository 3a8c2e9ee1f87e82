"""How a run stands, for whoever puts it into words."""

from batchup.core.snapshot import Snapshot

STANDING = Snapshot(
    elapsed_s=60.0,
    total=24,
    saved=10,
    failed=1,
    held=0,
    in_doubt=0,
    rejected=1,
    skipped=2,
    duplicates=0,
    in_flight=7,
    saving=2,
    per_minute=10.52,
    eta_s=75.4,
    requests_last_minute=58,
    rate_limit=60,
    spend_usd=0.1,
    job_spend_usd=0.3,
    note=None,
)
