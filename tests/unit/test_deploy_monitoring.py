"""Alert rules and dashboard: every query is well-formed and asks for metrics that a worker exposes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from consumers.metrics import Metrics, metric_names
from infrastructure.requirements import missing

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES: Mapping[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
RULE_TESTS: Mapping[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "alerts_test.yml").read_text("utf-8"))
DASHBOARD: Mapping[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "auditstream.json").read_text("utf-8"))
PANELS = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]


def _exposed() -> set[str]:
    """Return the names of all samples of a worker: a histogram has three, whether it was touched or not."""
    text = generate_latest(Metrics("1").registry).decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    histograms = {name for name, kind in kinds.items() if kind == "histogram"}
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    return (set(kinds) - histograms) | parts


def _asked(query: str) -> set[str]:
    return set(re.findall(r"\bauditstream_[a-z_]+\b", query))


def test_every_name_of_a_metric_is_exposed() -> None:
    exposed = _exposed()
    assert [n for n in metric_names() if not exposed & {n, f"{n}_bucket"}] == []


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_a_worker_exposes(rule: Mapping[str, Any]) -> None:
    assert _asked(rule["expr"]) <= _exposed()
    assert _asked(rule["annotations"]["description"]) <= _exposed()


@pytest.mark.parametrize("query", QUERIES)
def test_a_panel_asks_for_metrics_that_a_worker_exposes(query: str) -> None:
    assert _asked(query)
    assert _asked(query) <= _exposed()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_what_is_the_matter(rule: Mapping[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    fires = {
        test["alertname"] for case in RULE_TESTS["tests"] for test in case["alert_rule_test"] if test["exp_alerts"]
    }
    assert fires == {rule["alert"] for rule in ALERTS}


def test_the_dashboard_shows_what_matters() -> None:
    shown = set().union(*map(_asked, QUERIES))
    wanted = {
        "auditstream_messages_total",
        "auditstream_lag_offsets",
        "auditstream_lag_seconds",
        "auditstream_event_to_queryable_seconds_bucket",
        "auditstream_dead_letters_total",
        "auditstream_stage_seconds_bucket",
        "auditstream_retries_total",
        "auditstream_budget_held_bytes",
        "auditstream_rebalances_total",
    }
    assert wanted - shown == set()


def test_every_panel_has_a_title_a_description_and_a_place_of_its_own() -> None:
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in PANELS]
    assert len(set(places)) == len(PANELS)
    assert [p["id"] for p in PANELS if not (p["title"] and p["description"])] == []
    assert len({p["id"] for p in PANELS}) == len(PANELS)


def test_grafana_finds_the_data_source_and_the_dashboards() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text("utf-8"))["datasources"][0]
    default = DASHBOARD["templating"]["list"][0]["current"]["value"]
    assert (source["uid"], source["type"]) == (default, "prometheus")
    provider = yaml.safe_load((provisioning / "dashboards" / "auditstream.yml").read_text("utf-8"))["providers"][0]
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text("utf-8"))
    mounts = dict(v.removesuffix(":ro").split(":") for v in compose["services"]["grafana"]["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]


@pytest.fixture(scope="module")
def promtool() -> str:
    program = shutil.which("promtool")
    if program is None:
        missing("promtool", "no promtool on the path")
    return program


def _run(*command: str | Path, directory: Path) -> str:
    answer = subprocess.run([str(c) for c in command], cwd=directory, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_promtool_accepts_the_configuration_and_the_rules(promtool: str) -> None:
    _run(promtool, "check", "config", "prometheus.yml", directory=DEPLOY / "prometheus")


def test_the_alerts_fire_when_they_should_and_only_then(promtool: str) -> None:
    _run(promtool, "test", "rules", "alerts_test.yml", directory=DEPLOY / "prometheus")


def _as_rules() -> Iterator[dict[str, str]]:
    for number, query in enumerate(QUERIES):
        yield {"record": f"panel:query:{number}", "expr": query.replace("$__rate_interval", "5m")}


def test_promtool_accepts_the_queries_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    rules = {"groups": [{"name": "dashboard", "rules": list(_as_rules())}]}
    (tmp_path / "dashboard.yml").write_text(yaml.safe_dump(rules), "utf-8")
    _run(promtool, "check", "rules", "dashboard.yml", directory=tmp_path)
