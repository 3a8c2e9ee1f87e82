"""How a job went, in the words of its report."""

from typing import Final

from batchup.report.document import Run, Totals

_LEFT: Final = {
    "failed": "failed",
    "held": "held",
    "in_doubt": "in doubt",
    "outstanding": "outstanding",
    "rejected": "rejected",
}


def sentence(totals: Totals, run: Run) -> str:
    """Return in one sentence how a job stands: "998 of 1,000 saved, 2 failed; $9.98; 1 h 29 min"."""
    counts = [f"{totals.saved:,} of {totals.items:,} saved"]
    counts += [f"{n:,} {words}" for state, words in _LEFT.items() if (n := getattr(totals, state))]
    parts = [", ".join(counts)]
    if totals.spend_usd is not None:
        parts.append(money(totals.spend_usd))
    if run.wall_s is not None:
        parts.append(duration(run.wall_s))
    if run.is_cut_off:
        parts.append("the last run was cut off")
    return "; ".join(parts)


def money(usd: float) -> str:
    """Return an amount in USD: cents, and more digits where it is small and needs them."""
    cents, rest = f"{usd:,.4f}"[:-2], f"{usd:.4f}"[-2:].rstrip("0")
    return f"${cents}{rest}" if abs(usd) < 0.1 else f"${usd:,.2f}"


def duration(s: float) -> str:
    """Return a length of time in its two largest units."""
    if s < 9.95:
        return f"{s:.1f} s".replace(".0 ", " ")
    if s < 59.5:
        return f"{s:.0f} s"
    if s < 600:
        return _pair(round(s), 60, "min", "s")
    if s < 172_800:
        return _pair(round(s / 60), 60, "h", "min")
    return _pair(round(s / 3600), 24, "d", "h")


def _pair(small: int, size: int, large_unit: str, small_unit: str) -> str:
    large, rest = divmod(small, size)
    words = [f"{large} {large_unit}"] if large else []
    words += [f"{rest} {small_unit}"] if rest else []
    return " ".join(words) or f"0 {small_unit}"
