"""A store to read from: millions of events with the skew of a platform, made by the engine itself.

Two hundred tenants, of which one has 30 % of the events; actors, objects, addresses, codes and words each with a few
that are in everything and many that are rare; a year of time; seven kinds of records; every ten-thousandth event
delivered twice. Everything is a function of the row's number, so that the same size is the same store, its end apart,
which is the present.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from uuid import UUID

from schemas.catalogue import Catalogue
from sinks.connection import Connections

TOPIC_ID = UUID("5f0a4f0e-0000-4000-8000-0000000000be")
PARTITIONS = 12
BIG_TENANT = "tenant-001"
PLAIN_TABLE = "plain_events"

_DAYS = 365
_WORDS = 3_000
_CHUNK_ROWS = 100_000 * PARTITIONS
#: An event in so many is delivered a second time.
_REPEATED = 10_000
_SYLLABLES = ("ba", "co", "di", "fu", "ga", "ho", "ki", "lu", "ma", "no", "pe", "ra", "so", "ti", "vu", "ze")

#: Column -> expression over ``n``, the number of the event; ``kind`` and what else has no table column are steps.
_STEPS: Mapping[str, str] = {
    "kind": "multiIf(u(1) < .45, 'action', u(1) < .8, 'api_call', u(1) < .9, 'auth', u(1) < .94, 'run_log', "
    "u(1) < .97, 'task', u(1) < .98, 'export', 'webhook')",
    "stateful": "kind IN ('task', 'export', 'webhook')",
    # States of one thing belong to one tenant and follow each other.
    "owner": "if(stateful, intDiv(n, 133), n)",
    "state": "n % 133",
    "big": "v(2) < .3",
    "days_ago": "{days} * (1 - n / {total})",
    "late": "u(4) < .01",
    "arrived": "toInt64({end} - days_ago * 86400000000 - u(5) * 60000000)",
    "happened": "arrived - if(late, toInt64(u(6) * 172800000000), toInt64(200000 + u(6) * 1000000))",
    "days": "multiIf(kind = 'api_call', 30, stateful OR kind = 'run_log', 90, u(7) < .6, 180, 365)",
    "address": "toUInt32(pow(u(8), 3) * 50000)",
    "object": "toUInt32(pow(u(9), 3) * 200000)",
    "who": "toUInt32(pow(u(10), 3) * if(big, 5000, 300))",
}
_COLUMNS: Mapping[str, str] = {
    "tenant_id": "if(big, '{big_tenant}', concat('tenant-', leftPad(toString(2 + toUInt32(v(3) * v(3) * 198)), 3, '0')))",
    "occurred_at": "fromUnixTimestamp64Micro(happened, 'UTC')",
    "received_at": "fromUnixTimestamp64Milli(intDiv(arrived, 1000), 'UTC')",
    "ingested_at": "fromUnixTimestamp64Milli(intDiv(arrived, 1000) + 1000, 'UTC')",
    "retention_days": "if(days_ago + 3 < days, days, 1095)",
    "expires_at": "addDays(fromUnixTimestamp64Milli(intDiv(arrived, 1000), 'UTC'), if(days_ago + 3 < days, days, 1095))",
    # Version 7: the time in front, chance behind.
    "event_id": "toUUID(concat(substring(hex(intDiv(happened, 1000)), 1, 8), '-', substring(hex(intDiv(happened, 1000)), "
    "9, 4), '-7', substring(hex(cityHash64(n, 11)), 1, 3), '-a', substring(hex(cityHash64(n, 12)), 1, 3), '-', "
    "substring(hex(cityHash64(n, 13)), 1, 12)))",
    "ip": "IPv4ToIPv6(toIPv4(toUInt32(if(address % 5 = 0, 167772160, 184549376) + address)))",
    "geo_country": "arrayElement(['DE', 'GB', 'US', 'IN', 'BR', 'FR', 'PL', 'JP'], 1 + address % 8)",
    "ip_kind": "if(address % 5 = 0, 'private', 'public')",
    "record_kind": "kind",
    "event_code": "multiIf(kind = 'action', arrayElement({codes}, 1 + toUInt32(pow(u(14), 3) * {code_count})), "
    "kind = 'auth', if(u(15) < .9, 'auth.login', 'auth.login_failed'), concat(kind, '.', 'state'))",
    "event_category": "if(kind = 'action', arrayElement(['create', 'update', 'delete', 'activate'], 1 + toUInt32(u(16) * 4)), "
    "if(kind = 'auth', 'auth', 'other'))",
    "outcome": "if(u(17) < .05, 'failure', 'success')",
    "severity": "if(u(17) < .05, 'ERROR', 'INFO')",
    "scope_level": "'project'",
    "project_id": "concat('p', toString(toUInt32(u(18) * 5)))",
    "product": "arrayElement(['contacts', 'campaigns', 'vouchers', 'billing'], 1 + toUInt32(u(18) * 4))",
    "source_service": "concat('service-', toString(toUInt32(u(19) * 12)))",
    "request_id": "lower(hex(cityHash64(intDiv(n, 2), 20)))",
    "session_id": "lower(hex(cityHash64(who, big, intDiv(happened, 3600000000))))",
    "actor_type": "if(kind = 'api_call', 'api_token', 'user')",
    "actor_id": "concat('u-', toString(who))",
    "actor_name": "concat(arrayElement({words}, 1 + who % 500), ' ', arrayElement({words}, 1 + who % 2711))",
    "actor_login": "concat('user', toString(who), '@example.com')",
    "actor_email": "concat('user', toString(who), '@example.com')",
    "origin": "arrayElement(['dashboard', 'api', 'integration', 'mobile'], 1 + toUInt32(u(21) * 4))",
    "platform": "arrayElement(['web', 'ios', 'android', 'desktop'], 1 + toUInt32(u(21) * 4))",
    "user_agent": "concat('Browser/', toString(toUInt32(pow(u(22), 3) * 200)))",
    "target_type": "arrayElement(['campaign', 'voucher', 'customer', 'segment', 'template'], 1 + object % 5)",
    "target_id": "toString(object)",
    "target_name": "concat(arrayElement({words}, 1 + object % 3000), ' ', toString(object))",
    "message": "if(kind IN ('action', 'run_log'), arrayStringConcat(arrayMap(i -> arrayElement({words}, "
    "1 + toUInt32(pow(cityHash64(n, 30 + i) / 18446744073709551616., 2.5) * {word_count})), range(6)), ' '), '')",
    "details": "if(u(23) < .3, map('order', concat('ORD-', lower(hex(cityHash64(n, 24)))), "
    "'reason', arrayElement({words}, 1 + toUInt32(u(25) * 200))), map())",
    "`changes.field`": "if(kind = 'action' AND u(26) < .4, ['status', 'name'], [])",
    "`changes.before`": "if(kind = 'action' AND u(26) < .4, ['draft', arrayElement({words}, 1 + toUInt32(u(27) * 3000))], [])",
    "`changes.after`": "if(kind = 'action' AND u(26) < .4, ['active', arrayElement({words}, 1 + toUInt32(u(28) * 3000))], [])",
    "`changes.masked`": "if(kind = 'action' AND u(26) < .4, [false, false], [])",
    "duration_ms": "if(kind = 'api_call', toInt64(pow(u(29), 4) * 5000), NULL)",
    "api_method": "if(kind = 'api_call', arrayElement(['GET', 'POST', 'PUT', 'DELETE'], 1 + toUInt32(u(31) * 4)), '')",
    "api_route": "if(kind = 'api_call', concat('/v1/resource', toString(toUInt32(pow(u(32), 3) * 50))), '')",
    "api_status_code": "if(kind = 'api_call', if(u(17) < .05, 500, 200), NULL)",
    "auth_event": "if(kind = 'auth', if(u(15) < .9, 'login', 'login_failed'), 'other')",
    "task_id": "if(kind = 'task', concat('t-', toString(owner)), '')",
    "task_status": "if(kind = 'task', multiIf(state < 30, 'enqueued', state < 80, 'in_progress', v(33) < .1, 'failed', 'done'), "
    "'unknown')",
    "task_state_seq": "if(kind = 'task', state, 0)",
    "task_type": "if(kind = 'task', concat('import.', toString(owner % 19)), '')",
    "export_id": "if(kind = 'export', concat('e-', toString(owner)), '')",
    "export_state": "if(kind = 'export', if(state < 60, 'pending', 'ready'), 'unknown')",
    "export_state_seq": "if(kind = 'export', state, 0)",
    "hook_sendout_id": "if(kind = 'webhook', concat('w-', toString(owner)), '')",
    "hook_status": "if(kind = 'webhook', if(u(34) < .05, 'error', 'sent'), 'unknown')",
    "hook_attempt": "if(kind = 'webhook', toInt32(state), 0)",
    "kafka_topic": "'audit.events'",
    "kafka_topic_id": "toUUID('{topic}')",
    "kafka_partition": "toInt32(number % {partitions})",
    "kafka_offset": "toInt64(intDiv(number, {partitions}))",
    "schema_id": "1",
}


def vocabulary() -> Sequence[str]:
    """Return the words of messages, the frequent ones first; the same every time."""
    chance = Random(7)  # noqa: S311 - a load that can be repeated
    words: dict[str, None] = {}
    while len(words) < _WORDS:
        words["".join(chance.choices(_SYLLABLES, k=chance.randint(2, 4)))] = None
    return list(words)


@dataclass(frozen=True, slots=True)
class Store:
    """A database that is filled.

    Attributes:
        connections: To the migrated database.
        rows: Rows of ``audit_events`` when it is full; a multiple of PARTITIONS.
        end: The time of the newest event.
    """

    connections: Connections
    rows: int
    end: datetime

    def fill(self, told: Callable[[str], None]) -> None:
        """Make the rows, chunk by chunk with the manifest behind each."""
        for first in range(0, self.rows, _CHUNK_ROWS):
            last = min(first + _CHUNK_ROWS, self.rows)
            self._command(self._events(first, last))
            self._command(self._manifest(first, last))
            told(f"{last:,} of {self.rows:,} rows")

    def fill_plain(self) -> None:
        """Make a table of the same rows as people do without thought: by time, without index."""
        self._create_plain()
        self._command(f"INSERT INTO {self._table(PLAIN_TABLE)} SELECT * FROM {self._table('audit_events')}")  # noqa: S608 - ours

    def merge(self, told: Callable[[str], None]) -> None:
        """Merge every table partition into one part, as the engine does with all but the newest rows in time."""
        for table in ("audit_events", PLAIN_TABLE):
            # Parts that were merged are on the disk twice until they are removed.
            self._command(f"ALTER TABLE {self._table(table)} MODIFY SETTING old_parts_lifetime = 1")
            self._command(f"OPTIMIZE TABLE {self._table(table)} FINAL")
            told(f"{table} is merged")

    def _create_plain(self) -> None:
        names = ", ".join(f"`{c['name']}` {c['type']}" for c in self._columns())
        self._command(f"CREATE TABLE {self._table(PLAIN_TABLE)} ({names}) ENGINE = MergeTree ORDER BY occurred_at")

    def _columns(self) -> Sequence[dict[str, str]]:
        return self.connections.rows(
            "SELECT name, type FROM system.columns WHERE database = {name:String} AND table = 'audit_events'",
            {"name": self.connections.settings.database},
        )

    def _table(self, name: str) -> str:
        return f"`{self.connections.settings.database}`.{name}"

    def _command(self, sql: str) -> None:
        self.connections.command(sql)

    def _known(self, codes: Sequence[str], words: Sequence[str]) -> Mapping[str, object]:
        """Return what the expressions leave open."""
        return {
            "days": _DAYS,
            "total": self.rows,
            "end": int(self.end.timestamp() * 1_000_000),
            "big_tenant": BIG_TENANT,
            "codes": "codes",
            "code_count": len(codes),
            "words": "words",
            "word_count": len(words),
            "topic": TOPIC_ID,
            "partitions": PARTITIONS,
        }

    def _events(self, first: int, last: int) -> str:
        codes = [e.code for e in Catalogue.load() if e.record_kind == "action"]
        words = list(vocabulary())
        known = self._known(codes, words)
        steps = ", ".join(f"{_sql(e, known)} AS {name}" for name, e in _STEPS.items())
        values = ", ".join(_sql(e, known) for e in _COLUMNS.values())
        # The event of a repetition is the one before it.
        again = f"number > 0 AND number % {_REPEATED} = 0"
        numbers = f"SELECT number, if({again}, number - 1, number) AS n FROM numbers({first}, {last - first})"  # noqa: S608 - ours
        return (
            f"INSERT INTO {self._table('audit_events')} ({', '.join(_COLUMNS)}) "  # noqa: S608 - ours
            f"WITH {codes!r} AS codes, {words!r} AS words "
            f"SELECT {values} FROM (SELECT number, n, {steps} FROM ({numbers})) "
            "SETTINGS max_insert_threads = 1, max_block_size = 65536, min_insert_block_size_rows = 600000, "
            "min_insert_block_size_bytes = 0, max_partitions_per_insert_block = 0, max_execution_time = 0"
        )

    def _manifest(self, first: int, last: int) -> str:
        low, high = first // PARTITIONS, last // PARTITIONS
        return (
            f"INSERT INTO {self._table('ingest_batches')} "  # noqa: S608 - ours
            "(kafka_topic, kafka_topic_id, kafka_partition, first_offset, last_offset, stored) "
            f"SELECT 'audit.events', toUUID('{TOPIC_ID}'), number, {low}, {high - 1}, {high - low} "
            f"FROM numbers({PARTITIONS})"
        )


def _sql(expression: str, known: Mapping[str, object]) -> str:
    """Return an expression with its placeholders filled, ``u(k)`` and ``v(k)`` being chance by event and by owner."""
    text = expression.format_map(known)
    for name, number in (("u", "n"), ("v", "owner")):
        text = _chance(text, name, number)
    return text


def _chance(text: str, name: str, number: str) -> str:
    return re.sub(rf"\b{name}\((\d+)\)", rf"(cityHash64({number}, \1) / 18446744073709551616.)", text)
