"""Money end to end: caps, prices, balances and books, against the service's own count."""

import json
import signal
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from edge.bench import Ended, batchup, heard, judged, real, results, rows, run, simulated, web
from edge.bench import running as started
from edge.servers import free_port
from simulator.bench import running

from batchup.cli.closing import books_lines
from batchup.core.books import Books

QUICK = ("--durations", "fixed:20s", "--speed", "200", "--rate", "unlimited", "--cost", "0.25")
LIMITS = '[limits]\nrate = "unlimited"\n{more}\n[polling]\nexpected = "100ms"\ntimeout = "5s"\n'


def stats(url: str) -> dict[str, Any]:
    """Return what the service has seen and billed."""
    with urlopen(url) as answer:
        return dict(json.load(answer))


def job(folder: Path, url: str, count: int = 12, more: str = "") -> Path:
    """Write a job of so many items on a service."""
    rows(folder / "rows.jsonl", *web(*(f"n{k}" for k in range(count))))
    return real(folder, url, more=LIMITS.format(more=more))


def check(path: Path, *flags: str, **environ: str) -> Ended:
    return batchup(path.parent, "check", path, *flags, **environ)


def test_a_cap_holds_over_three_runs_and_a_kill(tmp_path: Path) -> None:
    """By the service's own bill the job never passes `max_spend`, whatever becomes of its runs."""
    with running(*QUICK, "--fault", "failed_prediction=0.2") as service:
        path = job(tmp_path, service.url, 20, "max_spend = 2.1\nmax_attempts = 9")
        with started(path) as process:
            while stats(service.stats)["creates"] < 3:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
        second = run(path, "--limit", "2").summary
        third = run(path)
        billed = stats(service.stats)
    assert second["job_spend_usd"] <= 2.1
    summary = third.summary
    assert (third.code, summary["reason"]) == (75, "spend_limit"), third
    assert billed["cost_usd"] == summary["job_spend_usd"] == 2.0
    books = summary["books"]
    assert (books["accepted"], books["well"], books["is_balanced"]) == (billed["creates"], 8, True)
    assert "reckoned at $0.25, as the service says" in third.err
    assert f"{billed['creates']} accepted = 8 well" in third.err


def test_a_price_that_is_told_lets_all_go_at_once(tmp_path: Path) -> None:
    """With a price the slots are full before anything has settled, and what is in flight counts at it."""
    with running(*QUICK, "--durations", "fixed:200s") as service:
        path = job(tmp_path, service.url, 12, "max_spend = 1.3")
        done = run(path)
        seen = stats(service.stats)
    assert (done.code, seen["max_in_flight"], seen["creates"]) == (75, 5, 5), done


def test_a_price_nobody_tells_is_found_out(tmp_path: Path) -> None:
    """Without a price the first prediction is alone, and what it cost counts from then on; both is said."""
    with running(*QUICK, "--fault", "model_404=1") as service:
        done = run(job(tmp_path, service.url, 6, "max_spend = 1.0"))
        assert stats(service.stats)["cost_usd"] == done.summary["job_spend_usd"] == 1.0
    assert "names no price for each-upscaler: one prediction at a time until one has settled" in done.err
    assert "names no price for each-upscaler: reckoned at the dearest so far, $0.25" in done.err


def test_a_cap_without_a_price_is_not_bet_on(tmp_path: Path) -> None:
    """Without a price a create that nobody heard of is the last one, and the way out is said."""
    with running(*QUICK, "--fault", "model_404=1", "--fault", "create_lost=1") as service:
        done = run(job(tmp_path, service.url, 6, 'max_spend = 1.0\n[run]\non_in_doubt = "hold"'))
        assert stats(service.stats)["creates"] == 1
    assert (done.code, done.summary["reason"]) == (4, "spend_limit"), done
    assert "learn one with --limit 1 and without max_spend" in " ".join(done.err.split())


@pytest.mark.parametrize("fault", ["balance_hang", "balance_5xx", "balance_404", "model_404"])
@pytest.mark.parametrize("more", ["", "max_spend = 9.0"])
def test_look_ups_that_fail_cost_nobody_anything(tmp_path: Path, fault: str, more: str) -> None:
    """However the service treats the look-ups, all is saved, each request counted, and no time lost."""
    with running(*QUICK, "--fault", f"{fault}=1") as service:
        path = job(tmp_path, service.url, 4, more)
        done = run(path, "--log-level", "debug")
        seen = stats(service.stats)
    assert (done.code, done.summary["saved"]) == (0, 4), done
    assert seen["requests"] in heard(path.with_suffix(".out"), done.summary["requests"])


def test_a_low_balance_is_a_warning(tmp_path: Path) -> None:
    """The cap that a low balance brings is named, and that it will not do for all, and the run goes on."""
    with running(*QUICK, "--durations", "fixed:200s", "--balance", "2") as service:
        path = job(tmp_path, service.url, 12, "concurrency = 12")
        done = run(path)
        said = check(path)
    assert (done.code, done.summary["saved"]) == (79, 8), done
    assert "the balance is $2.00: at $10 and below the service allows 10 in flight" in done.err
    assert (
        "the balance, $2.00, is less than the 12 outstanding items will probably cost, about $3.00"
        in done.err
    )
    assert "this job is for 12" in said.err
    lines = (path.with_suffix(".out") / "run.log.jsonl").read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert max(events.index("balance_low"), events.index("balance_short")) < events.index("created")


def test_a_check_tells_price_and_balance_and_spends_nothing(tmp_path: Path) -> None:
    """Price with its source, balance and the cost of what is outstanding are told; two requests are sent."""
    with running(*QUICK, "--balance", "2") as service:
        path = job(tmp_path, service.url, 12)
        done = check(path)
        seen = stats(service.stats)
        assert run(path, "--limit", "4").code == 75
        rest = json.loads(check(path, "--json").out)
        requests = stats(service.stats)["requests"]
        offline = check(path, "--offline")
        assert stats(service.stats)["requests"] == requests
    assert (done.code, seen["requests"], seen["creates"]) == (0, 2, 0)
    for words in (
        "price: 0.25 USD a prediction, as the service says now",
        "balance: 2.00 USD",
        "cost: 3.00 USD for 12 outstanding",
    ):
        assert words in done.out, done
    assert "the balance will probably not do for all of them: $1.00 are lacking" in done.err
    assert (rest["outstanding"], rest["cost"]["likely_usd"], rest["balance_usd"]) == (8, 2.0, 1.0)
    assert "price: 0.25 USD a prediction, as the service said 0 min ago" in offline.out
    assert "the service was not asked for price and balance, as --offline asks" in offline.err
    assert offline.code == 0


def test_a_check_needs_neither_network_nor_key(tmp_path: Path) -> None:
    """Nobody there, or no key: a line says so, what came with batchup is used, and the code stays."""
    path = job(tmp_path, f"http://127.0.0.1:{free_port()}/v1")
    nobody = check(path)
    assert nobody.code == 0
    assert "the service does not tell the balance" in nobody.err
    assert "price: not known" in nobody.out
    assert "bounds not confirmed by the service" in nobody.out
    keyless = check(path, A_KEY="")
    assert keyless.code == 3
    assert "not asked for price and balance, as there is no key" in keyless.err


def test_a_check_of_a_simulated_job_starts_no_simulator(tmp_path: Path) -> None:
    """A simulated job's price is that of its model, and nothing is made but the memory of its pictures."""
    done = check(simulated(tmp_path))
    assert "price: 0.01 USD a prediction, as the simulator plays it" in done.out
    assert not (tmp_path / "job.out" / "simulator").exists()


@pytest.mark.parametrize(
    ("policy", "field", "faults"),
    [
        ("hold", "held", {"create_lost": 0.7}),
        ("resubmit", "written_off", {"create_lost": 0.7}),
        ("reconcile", "badly", {"failed_prediction": 0.4, "create_lost": 0.2}),
        ("reconcile", "well", {"dead_output": 0.4}),
    ],
)
def test_the_books_are_the_service_s_own(
    tmp_path: Path, policy: str, field: str, faults: dict[str, float]
) -> None:
    """After faults, over two runs, as many were accepted as the service counts, and all of them are told."""
    path = simulated(tmp_path, more=f'[run]\non_in_doubt = "{policy}"\n', faults=faults)
    for _ in range(2):
        books = run(path).summary["books"]
        assert (books["accepted"], books["is_balanced"]) == (judged(path)["creates"], True), books
    assert books[field] > 0
    spent = sum(line["cost_usd"] or 0.0 for line in results(path).values())
    assert books["well_usd"] == pytest.approx(spent)


def test_books_are_read_aloud() -> None:
    """A person reads one line, what is perhaps bought included, and a second where something is wrong."""
    books = Books(accepted=102, well=98, badly=2, in_flight=1, in_doubt=1, billed_usd=10.2, well_usd=10.2)
    (line,) = books_lines(books)
    assert line == (
        "102 accepted = 98 well + 2 badly + 1 in flight + 1 in doubt;"
        " $10.20 settled, at a price not known open"
    )
    assert "NOT BALANCE" in books_lines(Books(accepted=3, well=2, open_usd=0.0))[1]
    (priced,) = books_lines(Books(accepted=1, held=1, open_usd=0.1))
    assert priced.endswith("1 held; $0.00 settled, about $0.10 open")
