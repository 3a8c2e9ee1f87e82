"""What a job asks of its service that the service's profile does not offer."""

from batchup.core.profile import Profile


def lacks(
    profile: Profile, *, model: str | None, has_cap: bool, deletes_uploads: bool, has_webhooks: bool
) -> list[tuple[str, str]]:
    """Return the keys of a job that its service cannot fulfil, each with what to do about it."""
    found, title = [], profile.title
    if model is not None and (words := profile.model_problem(model)) is not None:
        found.append(("model", words))
    if has_cap and not profile.tells_cost:
        words = f"{title} does not tell what predictions cost; remove it, and bound the run with --limit"
        found.append(("limits.max_spend", words))
    if deletes_uploads and (profile.delete is None or profile.upload is None):
        found.append(("prepare.delete_uploads", f"nothing is uploaded to {title}; remove it"))
    if has_webhooks and profile.hook is None:
        words = f"webhooks of {title} are not understood; remove [webhook], as polls do without"
        found.append(("webhook.listen", words))
    return found
