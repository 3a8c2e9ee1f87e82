"""All runs of the bench, as a table and as JSON."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from typing import Any

from bench.harness import Result, run_once
from bench.profiles import BAD_LISTS, COLD, HOOKS, LIMITS, LIST, WORSE_BY, Profile, mean

GUESSES = (0.5, 0.7, 1.0, 1.4, 2.0)  # what the first guess of the mean is off by, one a seed
QUICK = (0.5, 1.0, 2.0)
GROUPS = {"cold": COLD, "list": LIST, "limits": LIMITS, "webhooks": HOOKS, "bad lists": BAD_LISTS}


@dataclass(frozen=True)
class Row:
    """A profile and its runs."""

    group: str
    profile: Profile
    runs: Sequence[Result]

    @property
    def mean_share(self) -> float:
        """The mean of the shares of X* that its runs reached."""
        return mean([run.share for run in self.runs])

    @property
    def least_share(self) -> float:
        """The share that the worst of its runs reached."""
        return min(run.share for run in self.runs)

    def problems(self) -> list[str]:
        """Say what is not as it has to be; nothing, if all is well."""
        profile, name = self.profile, f"{self.group}: {self.profile.name}"
        found = []
        if self.mean_share < profile.least_mean:
            found.append(f"{name}: mean {self.mean_share:.3f}, at least {profile.least_mean}")
        if self.least_share < profile.least_run:
            found.append(f"{name}: worst run {self.least_share:.3f}, at least {profile.least_run}")
        for run in self.runs:
            if run.worst_window > profile.per_minute or run.most_in_flight > profile.slot_count:
                found.append(f"{name}: {run.worst_window} in a window, {run.most_in_flight} in flight")
            if run.refused_count or run.saved_count != profile.item_count:
                found.append(f"{name}: {run.refused_count} refused, {run.saved_count} saved")
        return found


def run_all(groups: Iterable[str], only: str = "", *, is_quick: bool = False, workers: int = 2) -> list[Row]:
    """Run every profile of these groups whose name contains `only`, once with each guess, or with three."""
    guesses = QUICK if is_quick else GUESSES
    chosen = [(g, p) for g in groups for p in GROUPS[g] if only in p.name]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
        waiting = [
            (g, p, [executor.submit(run_once, p, GUESSES.index(guess), guess) for guess in guesses])
            for g, p in chosen
        ]
        return [Row(g, p, [run.result() for run in runs]) for g, p, runs in waiting]


def bad_lists_problems(rows: Sequence[Row]) -> list[str]:
    """Say where a list that is no good cost more than it may, against the same profile without a list."""
    without = {row.profile.name: row.mean_share for row in rows if row.group == "cold"}
    found = []
    for row in rows:
        before = without.get(row.profile.name.partition(", list")[0])
        if row.group == "bad lists" and before is not None and row.mean_share < before - WORSE_BY:
            found.append(f"{row.profile.name}: {row.mean_share:.3f}, without a list {before:.3f}")
    return found


def as_text(rows: Sequence[Row]) -> str:
    """Lay the rows out as a table in Markdown."""
    lines = [
        "| | profile | of X\\*: mean / worst run | at least | items/min | requests/item | window | core |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        runs, least = row.runs, f"{row.profile.least_mean:g} / {row.profile.least_run:g}"
        lines.append(
            f"| {row.group} | {row.profile.name} | {row.mean_share:.3f} / {row.least_share:.3f} | {least} "
            f"| {mean([r.per_minute for r in runs]):.2f} | {mean([r.requests_per_item for r in runs]):.2f} "
            f"| {max(r.worst_window for r in runs)} of {row.profile.per_minute} "
            f"| {100 * max(r.core_share for r in runs):.2f} % |"
        )
    return "\n".join(lines)


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows as JSON can say them."""
    return [
        {
            "group": row.group,
            "profile": row.profile.name,
            "mean_share": row.mean_share,
            "least_share": row.least_share,
            "runs": [asdict(run) for run in row.runs],
        }
        for row in rows
    ]
