"""What a service does not offer, in one sentence for whoever is about to use it."""

from batchup.core.profile import Profile


def shortcomings(profile: Profile) -> str | None:
    """Say what a profile's service has no way to do, and what follows; None where it can do all of it."""
    found = []
    if profile.listing is None:
        found.append("no list of predictions (a create whose answer is lost is held for `batchup resolve`)")
    if profile.upload is None:
        found.append("no uploads (images have to be at https:// addresses or in a bucket)")
    money = [(profile.model, "prices"), (profile.prediction.cost, "costs"), (profile.balance, "balance")]
    untold = [word for way, word in money if way is None]
    if untold:
        found.append(f"no {' or '.join(untold)} told")
    if profile.retention_s is not None:
        found.append(f"outputs are kept for {_length(profile.retention_s)}, so do not leave a run for longer")
    return f"{profile.title}: {'; '.join(found)}" if found else None


def _length(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"
