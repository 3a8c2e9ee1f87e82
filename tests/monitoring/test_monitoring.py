"""The dashboard and the alert rules: they ask for metrics that there are, and say what they should."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from edge.nights import failed, saved, status_of, summary_of

from batchup import monitoring
from batchup.cli import main
from batchup.core.lateness import SETTLED
from batchup.core.messages import Note
from batchup.core.wire import Response
from batchup.edge.metrics.catalogue import BY_NAME, JOB_LABEL, METRICS, Metric
from batchup.edge.metrics.exposition import read_back
from batchup.edge.metrics.last import Last
from batchup.edge.metrics.measures import Measures
from batchup.edge.metrics.text import text_of

ALERTS_TEST = Path(__file__).with_name("alerts_test.yml")
SHIPPED = Path(monitoring.__file__).parent
PARTS = ("_bucket", "_sum", "_count")
SCRAPED = {"instance", "le", "alertname", "severity"}
"""Labels that Prometheus itself, a histogram or a rule brings."""

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's prometheus")


def judged(*words: str | Path, given: str | None = None) -> str:
    """Let promtool judge; it has to be content."""
    done = subprocess.run(
        ["promtool", *map(str, words)],  # noqa: S607 whichever there is
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def dashboard() -> dict[str, Any]:
    return dict(json.loads(monitoring.text_of(monitoring.DASHBOARD)))


def queries() -> list[str]:
    """Return what the dashboard's panels ask for."""
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


def rules() -> list[str]:
    """Return what the alert rules ask for, each in one line."""
    text = re.sub(r">-\n((?: {10}.*\n)+)", lambda found: " ".join(found[1].split()) + "\n", alerts())
    return re.findall(r"^ +expr: (.*)$", text, re.MULTILINE)


def alerts() -> str:
    return monitoring.text_of(monitoring.ALERTS)


def metrics_in(query: str) -> Iterator[tuple[Metric, set[str]]]:
    """Yield the metrics that a query asks for, with the labels that it chooses by."""
    for name, matchers in re.findall(r"\b(batchup_\w+)(?:\{([^}]*)\})?", query):
        if name == JOB_LABEL:
            continue
        base = next((name.removesuffix(part) for part in PARTS if name.removesuffix(part) in BY_NAME), name)
        assert name in BY_NAME or (base in BY_NAME and BY_NAME[base].kind == "histogram"), name
        yield BY_NAME.get(name) or BY_NAME[base], set(re.findall(r"(\w+)\s*[=!]~?", matchers))


@pytest.mark.parametrize("query", [*queries(), *rules()])
def test_queries_ask_for_what_there_is(query: str) -> None:
    """Each metric exists, and each label chosen or grouped by is one that it has."""
    found = list(metrics_in(query))
    assert found
    groups = re.findall(r"\b(?:by|on) \(([^)]*)\)", query)
    grouped = {label for words in groups for label in words.split(", ")}
    for metric, chosen in found:
        assert chosen <= {JOB_LABEL, *metric.labels}
    assert grouped <= {JOB_LABEL, *SCRAPED, *(label for metric, _ in found for label in metric.labels)}
    for name in re.findall(r"(?:rate|increase)\((batchup_\w+)", query):
        assert name.endswith(("_total", *PARTS))


def test_every_metric_is_looked_at() -> None:
    """None is written that neither the dashboard nor an alert makes use of."""
    used = {metric.name for query in (*queries(), *rules()) for metric, _ in metrics_in(query)}
    assert {metric.name for metric in METRICS} == used


def test_the_dashboard_is_whole() -> None:
    """Panels have an id, a title and a place of their own, chosen by job, from the source that is chosen."""
    board = dashboard()
    panels = board["panels"]
    for key in ("id", "title"):
        assert len({panel[key] for panel in panels}) == len(panels)
    assert all('batchup_job=~"$job"' in query for query in queries())
    assert {variable["name"] for variable in board["templating"]["list"]} == {"datasource", "job"}
    sources = [panel["datasource"] for panel in panels]
    sources += [target["datasource"] for panel in panels for target in panel["targets"]]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    taken = [cell for panel in panels for cell in cells(**panel["gridPos"])]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) == 23


def cells(x: int, y: int, w: int, h: int) -> Iterator[tuple[int, int]]:
    return ((x + across, y + down) for across in range(w) for down in range(h))


def test_legends_name_labels_that_are_there() -> None:
    """What a legend fills in is what its query keeps."""
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = re.findall(r"\bby \(([^)]*)\)", target["expr"])
            assert named <= {label for words in grouped for label in words.split(", ")}


def everything(folder: Path) -> str:
    """Return the text of a run of which there is all to be said that can be."""
    measures = Measures(started_at=5.0, in_period=lambda: (54, 60))
    measures.exchange("poll", Response(200, {}, b""), 0.2)
    measures.note(Note(SETTLED, fields={"took_s": 53.0, "t_s": 60.0}))
    for outcome in (saved(folder, "a.png", 1), failed("b")):
        measures.outcome(outcome)
    now = replace(
        status_of(None).now, total=9, eta_s=5.0, creates_end_s=4.0, max_spend_usd=25.0, concurrency=10
    )
    summary = replace(summary_of([]), optimum_share=0.97)
    return text_of(replace(status_of(None), now=now), Last().after(summary, 1000.0), measures=measures)


@promtool
def test_prometheus_takes_the_metrics(tmp_path: Path) -> None:
    """Its own tool finds nothing to say of names, kinds, units and helps, with all of them there."""
    text = everything(tmp_path)
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} == set(BY_NAME)
    assert judged("check", "metrics", given=text) == ""


@promtool
def test_prometheus_takes_the_rules() -> None:
    """Its own tool reads all of them, and they fire when they should and not else."""
    assert f"{len(rules())} rules found" in judged("check", "rules", SHIPPED / monitoring.ALERTS)
    judged("test", "rules", ALERTS_TEST)


def test_each_alert_is_tested() -> None:
    """For each rule there is a case in which it fires."""
    named = re.findall(r"- alert: (\w+)", alerts())
    tests = ALERTS_TEST.read_text(encoding="utf-8")
    assert len(named) == len(set(named)) == len(rules())
    for name in named:
        assert re.search(rf"alertname: {name}\n +exp_alerts|alertname=\"{name}\".*firing", tests), name


@promtool
def test_every_panel_finds_something(tmp_path: Path) -> None:
    """Asked of a run of which all is told, each query of the dashboard has an answer."""
    series = [
        f"      - {{series: {json.dumps(line.rpartition(' ')[0])}, values: '{line.rpartition(' ')[2]}x90'}}"
        for line in everything(tmp_path).splitlines()
        if not line.startswith("#")
    ]
    asked = [query.replace("$job", ".*").replace("$__rate_interval", "5m") for query in queries()]
    answered = "eval_time: 80m, exp_samples: [{value: 1}]"
    tests = [f"      - {{expr: {json.dumps(f'count({query}) > bool 0')}, {answered}}}" for query in asked]
    head = "rule_files: []\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n"
    path = tmp_path / "panels.yml"
    path.write_text("\n".join([head + "\n".join(series), "    promql_expr_test:", *tests, ""]))
    judged("test", "rules", path)


@pytest.mark.parametrize("what", ["dashboard", "alerts"])
def test_the_files_are_printed_as_they_are(what: str) -> None:
    """What the command prints can be put where Grafana and Prometheus read it."""
    done = CliRunner().invoke(main, ["monitoring", what])
    name = {"dashboard": monitoring.DASHBOARD, "alerts": monitoring.ALERTS}[what]
    assert (done.exit_code, done.stdout) == (0, (SHIPPED / name).read_text(encoding="utf-8"))


def test_every_metric_is_listed() -> None:
    """Each with its kind, its labels and what it says, in the order of the file, on 80 columns."""
    done = CliRunner().invoke(main, ["monitoring", "metrics"])
    assert max(map(len, done.stdout.splitlines())) <= 80
    places = [done.stdout.index(f"{metric.name} ({metric.kind}; ") for metric in METRICS]
    assert all(before < after for before, after in pairwise(places))
    flat = " ".join(done.stdout.split())
    assert all(metric.help in flat for metric in METRICS)
    assert read_back(done.stdout) is None


def test_what_there_is_not_is_told() -> None:
    """Another word is an error of usage, which names those that there are."""
    done = CliRunner().invoke(main, ["monitoring", "panels"])
    assert done.exit_code == 2
    assert "'dashboard', 'alerts', 'metrics'" in done.stderr
