"""What `batchup schedule` says: when the job starts next, what was done, and what is left to do."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from pathlib import Path

from batchup.core.schedule.quoting import shell_word
from batchup.core.schedule.upcoming import OddNight, next_runs, odd_nights
from batchup.core.schedule.values import DailyStart, Schedule, SecretFile, Starter


def next_words(start: DailyStart, starter: Starter, zone: tzinfo, now: datetime) -> list[str]:
    """Say when the next five runs start, and in which nights of the next year the clocks' change matters."""
    starts = next_runs(starter, start.at, zone, now)
    later = f", each up to {start.jitter_s} s later" if start.jitter_s else ""
    lines = [f"the next runs start{later}:", *(f"  {_moment(moment)}" for moment in starts)]
    odd = odd_nights(starter, start.at, zone, now)
    if odd:
        lines += [f"when the clocks change, {start.at} is not there once:", *map(_odd_words, odd)]
    return lines


def left_behind_words(names: Sequence[str]) -> list[str]:
    """Say which variables of this shell the run will not find."""
    if not names:
        return []
    return [f"set here, and not set for the scheduled run: {', '.join(names)}"]


def key_words(path: Path | None) -> list[str]:
    """Say how the key gets to where the run looks for it, where it is not there yet."""
    return [] if path is None or path.is_file() else _missing_words("the key", path)


def address_words(addresses: Sequence[SecretFile]) -> list[str]:
    """Say how the addresses of those who are told get to where they are looked for, where they are not."""
    missing = [(one.variable, Path(one.path)) for one in addresses if not Path(one.path).is_file()]
    return [
        line
        for variable, path in missing
        for line in _missing_words(f"the address of [notify] {variable.rpartition('_')[2].lower()}", path)
    ]


def _missing_words(what: str, path: Path) -> list[str]:
    return [
        f"{what} is to be in {path}, which is not there yet; to write it:",
        f"  mkdir -p -m 700 {shell_word(str(path.parent))} && (umask 077; cat > {shell_word(str(path))})",
        "  then paste it, press Enter and Ctrl-D",
    ]


def systemd_words(schedule: Schedule, typed: Path, user: str, *, is_lingering: bool) -> list[str]:
    """Say what an installed timer does, and how it is looked at, tried and taken away."""
    unit = schedule.unit
    lines = [
        f"installed and started: {unit}.timer, which starts {unit}.service",
        _caught_up_words(schedule),
        "to look:     systemctl --user list-timers",
        f"             journalctl --user -u {unit}",
        _try_words(schedule, typed),
        f"to end:      {_ending(schedule.name, typed)}",
    ]
    return lines if is_lingering else [*lines, *lingering_words(user)]


def lingering_words(user: str) -> list[str]:
    """Say what becomes of a timer when its user logs out, and how it stays."""
    return [
        "your systemd ends when you log out, and the timer with it; so that it stays:",
        f"  loginctl enable-linger {user}",
    ]


def no_systemd_words() -> list[str]:
    """Say why a timer that is installed starts nothing here."""
    return ["no systemd of yours answers here: nothing starts until one does, as after you log in"]


def stopped_words(unit: str) -> list[str]:
    """Say how a timer that was stopped starts its run again."""
    return [f"installed, but stopped: `systemctl --user enable --now {unit}.timer` starts it"]


def disabled_words(unit: str) -> list[str]:
    """Say of a timer that is going on that it does not come back by itself."""
    return [f"not after your systemd's next start: `systemctl --user enable {unit}.timer` keeps it"]


def half_words(gone: Path) -> list[str]:
    """Say that one of the two units is not there."""
    return [f"{gone} is gone, so nothing starts; --install, as before, writes it anew"]


def beside_words(place: str, name: str, typed: Path, *, is_namesake: bool) -> list[str]:
    """Say that the job has another schedule too, and how only that one ends."""
    if is_namesake:
        return [
            f"installed for it too: {place}; both start it. One name ends both, so to keep this one:",
            f"  {_ending(name, typed)}",
            "  then say the same command again",
        ]
    return [f"installed for it too: {place}; both start it. To end that one:", f"  {_ending(name, typed)}"]


def _ending(name: str, typed: Path) -> str:
    return f"batchup schedule {shell_word(str(typed))} --remove --name {shell_word(name)}"


def _try_words(schedule: Schedule, typed: Path) -> str:
    """Say how it is tried by day; a service that keeps to its night would do nothing then."""
    if schedule.stop_at is None or schedule.is_caught_up:
        return f"to try now:  systemctl --user start --no-block {schedule.unit}.service"
    return f"to try now:  batchup run {shell_word(str(typed))}"


def cron_words(schedule: Schedule, typed: Path) -> list[str]:
    """Say what an installed line does not do, and how it is taken away."""
    return [
        "installed in your crontab; cron mails what a run has to say, nothing on exit 0 and 75",
        "cron does not catch up: a night in which this machine is off is left out",
        "to look:     crontab -l",
        f"to end:      {_ending(schedule.name, typed)}",
    ]


def kubernetes_words(schedule: Schedule, claim: str, secret: str) -> list[str]:
    """Say what the cluster has to have before the manifest is of use."""
    lines = [
        "to install:  batchup schedule ... --kubernetes | kubectl apply -f -",
        f"to end:      kubectl delete cronjob {schedule.unit}",
        f"it wants a PersistentVolumeClaim {claim} on a disk (no NFS), mounted at {schedule.folder}:",
        f"  {Path(schedule.job).name} and all that it names there are to be on it, and the output goes there",
    ]
    if schedule.secrets:
        files = {one.credential: one.path for one in schedule.secrets}
        words = (f"--from-file={shell_word(f'{name}={path}')}" for name, path in files.items())
        lines += [
            f"it wants a Secret {secret} with {' and '.join(files)}:",
            " \\\n    ".join([f"  kubectl create secret generic {secret}", *words]),
        ]
    return lines


def _caught_up_words(schedule: Schedule) -> str:
    if schedule.is_caught_up:
        return "a night that was missed is made up for as soon as this machine is on again"
    return "a night in which this machine is off is left out, as --no-catch-up asks"


def _odd_words(night: OddNight) -> str:
    if not night.starts:
        return f"  {night.date}: nothing starts"
    return f"  {night.date}: starts at {' and '.join(f'{start:%H:%M %z}' for start in night.starts)}"


def _moment(start: datetime) -> str:
    return f"{start:%a %Y-%m-%d %H:%M %z}"
