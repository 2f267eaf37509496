"""Notifications from real Kafka, through a real delivery log, to real receivers: nothing is lost, twice only as documented."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from auditstream.cli import cli
from auditstream.notify.rules_file import load_rules
from auditstream.notify.service import NotifierService
from auditstream.settings import Settings
from infrastructure.bench import Bench
from infrastructure.clickhouse import Database
from infrastructure.fleet import worker_environment
from infrastructure.kafka import Topics
from infrastructure.ports import wait_until
from infrastructure.processes import ControlledProcess, Processes
from infrastructure.receivers import JsonReceiver, MailServer, json_receiver, mail_server
from infrastructure.running import PATIENCE_S, RunningService, Warehouse
from schemas.columns import avro_schema
from schemas.registry import value_subject
from schemas.wire import EventCodec
from sinks.errors import SinkMisconfigured
from sinks.opening import open_sink
from sinks.settings import ClickHouseSettings

pytest_plugins = ["infrastructure.running_fixtures"]

LOG = "notification_deliveries"


class RunningNotifier(RunningService[NotifierService]):
    """A whole notifier in a thread of this process."""

    def __init__(self, settings: Settings, rules: Path, bench: Bench) -> None:
        self._sink = open_sink(settings.clickhouse)
        service = NotifierService(settings, load_rules(rules), bench.registry, self._sink)
        super().__init__("notifier", service, service.notifier.stop)

    def wait_read(self, messages: int) -> None:
        """Wait until that many messages were consumed and committed."""
        self.wait(lambda: self.value("auditstream_messages_consumed_total") >= messages, f"{messages} messages")

    def wait_member(self) -> None:
        self.wait(lambda: self.value("auditstream_rebalances_total", kind="assigned") >= 1, "partitions")
        self.wait(lambda: self.value("auditstream_commits_total", result="accepted") >= 1, "the first commit")

    def stop(self) -> None:
        try:
            super().stop()
        finally:
            self._sink.close()


class Notifiers:
    """Starts notifiers on a bench; all of one group."""

    def __init__(self, bench: Bench, warehouse: Warehouse, directory: Path) -> None:
        self.bench, self.warehouse, self.directory = bench, warehouse, directory
        self._started: list[RunningNotifier] = []

    def settings(self, **sections: Mapping[str, Any]) -> Settings:
        notify = {"group_id": f"notify.{self.bench.group}", "start_at": "earliest", "http_port": 0, "retry_s": 60.0}
        notify |= dict(sections.pop("notify", {}))
        return self.bench.settings(notify=notify, **({"clickhouse": self.warehouse.settings.model_dump()} | sections))

    def rules(self, text: str, **channels: str) -> Path:
        """Write a rules file; ``channels`` are URLs by name."""
        path = self.directory / f"rules-{uuid.uuid4().hex[:8]}.toml"
        tables = [f'[channels.{name}]\nurl = "{url}"\n' for name, url in channels.items()]
        path.write_text("\n".join([*tables, text]), "utf-8")
        return path

    def start(self, rules: Path, **sections: Mapping[str, Any]) -> RunningNotifier:
        started = RunningNotifier(self.settings(**sections), rules, self.bench)
        self._started.append(started)
        return started.start()

    def log(self, state: str = "") -> list[dict[str, Any]]:
        """Return the entries of the delivery log in the order of their offsets."""
        columns = "rule, channel, state, toString(event_id) AS event_id, events, position, attempts, title, text, error"
        rows = self.warehouse.rows(
            LOG, f"{columns}, toString(message_id) AS message_id", "kafka_offset, channel, state"
        )
        return [row for row in rows if not state or row["state"] == state]

    def close(self) -> None:
        for started in self._started:
            started.stop()


@pytest.fixture
def notifiers(bench: Bench, warehouse: Warehouse, tmp_path: Path) -> Iterator[Notifiers]:
    made = Notifiers(bench, warehouse, tmp_path)
    yield made
    made.close()


@pytest.fixture
def hook() -> Iterator[JsonReceiver]:
    with json_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


DELETED = """
[[rules]]
name = "deleted"
filter = "action:campaign.delete tenant:acme"
channels = ["hook", "inbox"]
title = "{{ event.message }}"
"""


def deletions(bench: Bench, count: int, first: int = 0, **fields: Any) -> list[bytes]:
    return bench.events(count, first, event_code="campaign.delete", **fields)


def test_matching_events_are_told_once_and_what_cannot_be_read_is_passed_over(
    bench: Bench, notifiers: Notifiers, hook: JsonReceiver
) -> None:
    twice = bench.event(1, event_code="campaign.delete")
    bench.send(
        *deletions(bench, 1),
        b"no event",
        bench.event(7),
        bench.event(8, event_code="campaign.delete", tenant_id="other"),
        b"",
        twice,
        twice,
    )
    running = notifiers.start(notifiers.rules(DELETED, hook=hook.url))
    running.wait(lambda: len(notifiers.log("sent")) == 4, "the ends")
    running.wait_read(7)
    running.stop()
    assert hook.titles == ["event 0", "event 1"]
    assert running.value("auditstream_notify_skipped_total", reason="frame_magic") == 1
    assert running.value("auditstream_notify_skipped_total", reason="empty") == 1
    ends = [(e["channel"], e["title"], e["attempts"]) for e in notifiers.log("sent")]
    assert ends == [("hook", "event 0", 1), ("inbox", "event 0", 1), ("hook", "event 1", 1), ("inbox", "event 1", 1)]
    assert [e["state"] for e in notifiers.log()].count("pending") == 4


def test_a_group_that_reads_everything_again_tells_nothing_again(
    bench: Bench, notifiers: Notifiers, hook: JsonReceiver
) -> None:
    bench.send(*deletions(bench, 3))
    rules = notifiers.rules(DELETED, hook=hook.url)
    first = notifiers.start(rules)
    first.wait(lambda: len(notifiers.log("sent")) == 6, "the ends")
    first.stop()
    again = notifiers.start(rules, notify={"group_id": f"again.{bench.group}"})
    bench.send(*deletions(bench, 1, 3))
    again.wait(lambda: len(notifiers.log("sent")) == 8, "the new one")
    assert again.value("auditstream_notices_total", result="known") == 3
    again.stop()
    assert hook.titles == ["event 0", "event 1", "event 2", "event 3"]


def test_a_new_group_tells_of_new_events_only_and_misses_none_of_them_after_that(
    bench: Bench, notifiers: Notifiers, hook: JsonReceiver
) -> None:
    bench.send(*deletions(bench, 2))
    rules, latest = notifiers.rules(DELETED, hook=hook.url), {"start_at": "latest"}
    running = notifiers.start(rules, notify=latest)
    running.wait_member()
    running.stop()
    bench.send(*deletions(bench, 2, 2))
    again = notifiers.start(rules, notify=latest)
    again.wait(lambda: len(hook.bodies) == 2, "the events sent between two runs")
    assert hook.titles == ["event 2", "event 3"]


def test_a_mail_has_subject_and_text_and_hides_personal_data_unless_the_rule_shows_it(
    bench: Bench, notifiers: Notifiers, mail: MailServer, hook: JsonReceiver
) -> None:
    rule = """
    [[rules]]
    name = "rule-{channel}"
    filter = "actor:ANN@example.com ip:10.0.0.0/8"
    channels = ["{channel}"]
    zone = "Europe/Berlin"
    title = "By {{{{ event.actor_name }}}}"
    text = "{{{{ event.occurred_at | local }}}}\\n<b>{{{{ event.message }}}}</b>"
    personal = "{personal}"
    """
    text = rule.format(channel="mail", personal="masked") + rule.format(channel="hook", personal="shown")
    who: dict[str, Any] = {"actor_name": "Ann", "actor_email": "ann@example.com", "ip": "10.1.2.3"}
    new_year = bench.event(0, **who, message="a < b", occurred_at=1_767_225_600_000_000)
    bench.send(new_year, bench.event(1, actor_name="Bob"))
    running = notifiers.start(notifiers.rules(text, mail=mail.url, hook=hook.url))
    running.wait(lambda: bool(mail.mails and hook.bodies), "mail and message")
    assert (str(mail.mails[0]["subject"]), hook.titles) == ("By [masked]", ["By Ann"])
    assert mail.recipients == [["ann@example.com"]]
    body = mail.mails[0].get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines()[:2] == ["2026-01-01 01:00:00 Europe/Berlin", "<b>a < b</b>"]


def test_rules_see_what_the_directory_knows_of_an_actor(
    bench: Bench, notifiers: Notifiers, topics: Topics, hook: JsonReceiver
) -> None:
    topic, schema = topics.create("audit.actors", partitions=1, cleanup_policy="compact"), avro_schema("actor", 1)
    codec = EventCodec(schema, bench.registry.register(value_subject(topic), schema))
    card = {
        "tenant_id": "acme",
        "actor_id": "u1",
        "updated_at": datetime.now(UTC),
        "name": "Ada",
        "department": "Maths",
    }
    producer = Producer({"bootstrap.servers": bench.topics.bootstrap, "log_level": 2})
    producer.produce(topic, codec.encode(card), key=b"acme/u1")
    assert producer.flush(PATIENCE_S) == 0
    bench.send(bench.event(0, actor_id="u1"), bench.event(1, actor_id="u2"))
    rule = '[[rules]]\nname = "maths"\nfilter = "department:maths actor:ada"\nchannels = ["hook"]\n'
    rule += 'title = "{{ event.message }} by {{ event.actor_name }}"\npersonal = "shown"'
    running = notifiers.start(notifiers.rules(rule, hook=hook.url), kafka={"actors_topic": topic})
    running.wait(lambda: len(notifiers.log("sent")) == 1, "the end")
    running.wait_read(2)
    assert hook.titles == ["event 0 by Ada"]


def test_a_channel_that_is_away_is_tried_again_and_holds_up_no_other(
    bench: Bench, notifiers: Notifiers, hook: JsonReceiver
) -> None:
    hook.status = 503
    bench.send(*deletions(bench, 2))
    running = notifiers.start(notifiers.rules(DELETED, hook=hook.url))
    running.wait(lambda: len(notifiers.log("sent")) == 2, "the inbox")
    running.wait(lambda: hook.refused >= 2, "two refusals")
    hook.status = 200
    running.wait(lambda: len(notifiers.log("sent")) == 4, "the webhook")
    assert hook.titles == ["event 0", "event 1"]
    attempts = {e["title"]: e["attempts"] for e in notifiers.log("sent") if e["channel"] == "hook"}
    assert attempts["event 0"] >= 3


def test_a_channel_that_never_takes_a_message_is_given_up_and_the_log_says_why(
    bench: Bench, notifiers: Notifiers, hook: JsonReceiver
) -> None:
    hook.status = 404
    bench.send(*deletions(bench, 1))
    running = notifiers.start(notifiers.rules(DELETED, hook=hook.url), notify={"retry_s": 0.5})
    running.wait(lambda: len(notifiers.log("failed")) == 1, "the end")
    (failed,) = notifiers.log("failed")
    assert (failed["channel"], failed["title"]) == ("hook", "event 0")
    assert "404" in failed["error"]
    assert running.value("auditstream_notifications_total", channel="hook", result="failed") == 1


COLLECTED = """
[[rules]]
name = "deleted"
filter = "action:campaign.delete"
channels = ["hook"]
title = "{{ event.message }}"
text = "{{ event.message }}!"
digest_minutes = %s
deduplicate = { key = "{{ event.actor_id }}", minutes = 60 }
"""


def test_what_waits_for_its_digest_outlives_the_process(bench: Bench, notifiers: Notifiers, hook: JsonReceiver) -> None:
    bench.send(*deletions(bench, 2, actor_id="u1"), *deletions(bench, 2, 2, actor_id="u2"))
    first = notifiers.start(notifiers.rules(COLLECTED % "60", hook=hook.url))
    first.wait(lambda: len(notifiers.log()) == 4, "the notices")
    first.stop()
    assert hook.bodies == []
    bench.send(*deletions(bench, 1, 4, actor_id="u2"), *deletions(bench, 1, 5, actor_id="u3"))
    again = notifiers.start(notifiers.rules(COLLECTED % "0.02", hook=hook.url))
    again.wait(lambda: len(notifiers.log("sent")) == 3, "the digest")
    told = "\n".join(str(body["message"]) for body in hook.bodies)
    assert [number for number in range(6) if f"event {number}!" in told] == [0, 2, 5]
    assert [e["event_id"][-1] for e in notifiers.log("duplicate")] == ["1", "3", "4"]


def test_a_notice_of_a_rule_that_is_gone_ends_as_failed(bench: Bench, notifiers: Notifiers, hook: JsonReceiver) -> None:
    bench.send(*deletions(bench, 1))
    first = notifiers.start(notifiers.rules(COLLECTED % "60", hook=hook.url))
    first.wait(lambda: len(notifiers.log()) == 1, "the notice")
    first.stop()
    notifiers.start(notifiers.rules(COLLECTED.replace("deleted", "another") % "60", hook=hook.url))
    wait_until(lambda: len(notifiers.log("failed")) == 1, timeout_s=PATIENCE_S, what="the end")
    assert "no longer" in notifiers.log("failed")[0]["error"]


def test_messages_that_the_broker_deleted_unread_are_counted_and_the_next_ones_told_of(
    bench: Bench, notifiers: Notifiers, hook: JsonReceiver
) -> None:
    rules = notifiers.rules(DELETED, hook=hook.url)
    bench.send(*deletions(bench, 1))
    first = notifiers.start(rules)
    first.wait(lambda: len(notifiers.log("sent")) == 2, "the first event")
    first.stop()
    bench.send(*deletions(bench, 3, 1))
    bench.delete_before(3)
    again = notifiers.start(rules)
    again.wait(lambda: len(notifiers.log("sent")) == 4, "what is left")
    assert hook.titles == ["event 0", "event 3"]
    assert again.value("auditstream_offsets_lost_total") == 2
    again.stop()


def test_an_outage_of_the_database_is_waited_out(
    bench: Bench, controlled_database: Database, tmp_path: Path, hook: JsonReceiver
) -> None:
    warehouse = Warehouse(controlled_database.settings)
    warehouse.migrate()
    notifiers = Notifiers(bench, warehouse, tmp_path)
    running = notifiers.start(notifiers.rules(DELETED, hook=hook.url))
    bench.send(*deletions(bench, 1))
    running.wait(lambda: len(hook.bodies) == 1, "the first message")
    controlled_database.kill()
    bench.send(*deletions(bench, 2, 1))
    running.wait(
        lambda: running.value("auditstream_retries_total", stage="delivery_log", reason="network") >= 1, "a wait"
    )
    assert not running.service.progress.ready()[0]
    assert len(hook.bodies) == 1, "nothing is sent that is not written down"
    controlled_database.start()
    running.wait(lambda: len(hook.bodies) == 3, "the others")
    running.wait(lambda: running.service.progress.ready()[0], "ready again")
    notifiers.close()
    warehouse.close()
    assert hook.titles == ["event 0", "event 1", "event 2"]


def test_a_database_that_was_not_migrated_is_refused_with_what_to_run(
    bench: Bench, clickhouse_settings: ClickHouseSettings, tmp_path: Path
) -> None:
    notifiers = Notifiers(bench, Warehouse(clickhouse_settings), tmp_path)
    running = notifiers.start(notifiers.rules(DELETED, hook="json://127.0.0.1:9/"))
    with pytest.raises(SinkMisconfigured, match="auditstream migrate"):
        running.wait(lambda: False, "the refusal")
    notifiers.warehouse.close()


@pytest.fixture
def command(notifiers: Notifiers, processes: Processes, tmp_path: Path) -> Callable[[Path], ControlledProcess]:
    bench = notifiers.bench

    def run(rules: Path) -> ControlledProcess:
        address = (bench.topics.bootstrap, bench.registry_settings.url, bench.topic)
        more = {"notify_group_id": f"notify.{bench.group}", "notify_start_at": "earliest", "notify_http_port": "0"}
        environment = worker_environment(*address, notifiers.warehouse.settings, tmp_path, **more)
        program = Path(sys.executable).with_name("auditstream")
        return processes.start("notify", [program, "notify", "--rules", rules], environment=environment)

    return run


def test_a_kill_in_the_middle_loses_nothing_and_repeats_only_what_was_under_way(
    bench: Bench, notifiers: Notifiers, hook: JsonReceiver, command: Callable[[Path], ControlledProcess]
) -> None:
    count = 30
    hook.delay_s = 0.1
    bench.send(*deletions(bench, count))
    rules = notifiers.rules(DELETED, hook=hook.url)
    killed = command(rules)
    wait_until(lambda: len(hook.bodies) >= 5, timeout_s=2 * PATIENCE_S, what="five messages")
    killed.kill()
    before = len(hook.bodies)
    hook.delay_s = 0.0
    again = command(rules)
    wait_until(
        lambda: len({e["event_id"] for e in notifiers.log("sent") if e["channel"] == "hook"}) == count,
        timeout_s=2 * PATIENCE_S,
        what="every event",
    )
    assert again.terminate() == 0
    assert before < count, "it was killed in the middle"
    assert sorted(set(hook.titles)) == sorted(f"event {n}" for n in range(count))
    assert len(hook.bodies) <= count + 1, "at most the message under way comes twice"
    inbox = [e["title"] for e in notifiers.log("sent") if e["channel"] == "inbox"]
    assert len(set(inbox)) == count


def test_the_commands_check_try_and_look_up(
    notifiers: Notifiers, hook: JsonReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = notifiers.rules(DELETED, hook=hook.url)
    settings = notifiers.warehouse.settings
    for name in ("interface", "host", "port", "user", "database"):
        monkeypatch.setenv(f"AUDITSTREAM_CLICKHOUSE_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("AUDITSTREAM_CLICKHOUSE_PASSWORD", settings.password.get_secret_value())
    monkeypatch.setenv("AUDITSTREAM_NOTIFY_RULES", str(rules))
    event = tmp_path / "event.json"
    event.write_text(json.dumps([{"event_code": "campaign.delete", "tenant_id": "acme", "message": "hello"}]), "utf-8")

    def run(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(cli, ["notify", *map(str, arguments)], catch_exceptions=False)
        return result.exit_code, result.output

    assert run("check", rules) == (0, "deleted: action:campaign.delete tenant:acme -> hook, inbox\n")
    code, output = run("test", "deleted", "--event", event, "--dry-run")
    assert (code, hook.bodies) == (0, [])
    assert "to hook: [test] hello" in output
    assert run("test", "deleted", "--event", event)[0] == 0
    assert hook.titles == ["[test] hello"]
    event.write_text(json.dumps({"event": {"event_code": "campaign.delete", "tenant_id": "other"}}), "utf-8")
    code, output = run("test", "deleted", "--event", event)
    assert (code, "does not match" in output) == (1, True)
    hook.status = 500
    assert run("test", "deleted")[0] == 1
    code, output = run("log", "--state", "test", "--rule", "deleted", "--format", "json")
    entries = json.loads(output)
    assert sorted((e["channel"], bool(e["error"])) for e in entries) == [
        ("hook", False), ("hook", True), ("inbox", False), ("inbox", False),
    ]  # fmt: skip
    assert run("log", "--channel", "nobody", "--format", "ndjson") == (0, "")


def test_partitions_that_change_hands_are_told_of_by_their_new_owner(
    wide_bench: Bench, warehouse: Warehouse, tmp_path: Path, hook: JsonReceiver
) -> None:
    notifiers = Notifiers(wide_bench, warehouse, tmp_path)
    rules = notifiers.rules(DELETED, hook=hook.url)
    first, second = notifiers.start(rules), notifiers.start(rules)
    for number in range(24):
        wide_bench.send(*deletions(wide_bench, 1, number), partition=number % 4)
        time.sleep(0.05)
    second.wait(lambda: second.value("auditstream_rebalances_total", kind="assigned") >= 1, "a share")
    first.stop()
    for number in range(24, 40):
        wide_bench.send(*deletions(wide_bench, 1, number), partition=number % 4)
    second.wait(lambda: len(set(hook.titles)) == 40, "every event")
    notifiers.close()
    assert sorted(hook.titles, key=lambda t: int(t.split()[1])) == [f"event {n}" for n in range(40)]
