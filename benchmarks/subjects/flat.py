"""The columns of ``audit_events`` as SQL over an Avro file and as Python over a decoded record.

Both leave out what only the worker knows: places, networks, browsers, flags and Kafka's coordinates are constants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from consumers.enrich.retention import snap_up
from schemas.catalogue import Catalogue
from schemas.columns import Column, avro_schema, event_columns
from sinks.settings import RetentionSettings

Record = Mapping[str, Any]


def source_columns() -> list[Column]:
    """Return the columns that come straight from the event."""
    return [c for c in event_columns() if c.source == "event"]


def retention_days() -> dict[str, int]:
    """Return the days that each event code is kept under default settings, so that rows meet the same partitions."""
    settings = RetentionSettings()
    classes = settings.classes
    return {entry.code: snap_up(classes[entry.retention_class]) for entry in Catalogue.load()}


def default_days() -> int:
    """Return the days of a code that the catalogue does not know."""
    settings = RetentionSettings()
    return snap_up(settings.classes[settings.default_class])


def row_plan() -> dict[str, Any]:
    """Return what ``benchmarks.subjects.rows`` needs to make rows, as JSON data."""
    groups = nested_groups()
    columns = []
    for column in source_columns():
        head, _, field = column.path.partition(".")
        places = {"name": column.name, "head": head, "field": field}
        columns.append({**places, "empty": _empty(column.clickhouse_type), "nested": head in groups})
    return {"columns": columns, "days": retention_days(), "default_days": default_days()}


def _empty(kind: str) -> object:
    if kind.startswith("Nullable"):
        return None
    if kind.startswith("Array"):
        return []
    if kind.startswith("Map"):
        return {}
    return "" if "String" in kind else 0


def avro_names() -> dict[str, str]:
    """Return how ClickHouse's Avro reader calls each path: nullable records carry the name of their type as well."""
    names = {}
    for field in avro_schema("audit_event", 1)["fields"]:
        kind = field["type"]
        branch = next((k for k in kind if k != "null"), kind) if isinstance(kind, list) else kind
        if isinstance(branch, dict) and branch["type"] == "record":
            for inner in branch["fields"]:
                infix = f"{branch['name']}." if isinstance(kind, list) else ""
                names[f"{field['name']}.{inner['name']}"] = f"{field['name']}.{infix}{inner['name']}"
    return names


def structure() -> str:
    """Return the columns of the Avro file as a ClickHouse structure."""
    parts = [f"`{name}` {kind}" for name, kind in _file_columns()]
    return ", ".join(parts)


def _file_columns() -> Iterator[tuple[str, str]]:
    yield from (("event_id", "UUID"), ("ip", "String"))
    names, groups = avro_names(), nested_groups()
    for column in source_columns():
        if column.path.split(".")[0] not in groups:
            yield names.get(column.path, column.path), column.clickhouse_type
    for group, fields in groups.items():
        yield group, "Array(Tuple(" + ", ".join(f"{name} {kind}" for name, kind in fields) + "))"


def nested_groups() -> dict[str, list[tuple[str, str]]]:
    """Return name and element type of the fields of every array of records."""
    arrays = {
        f["name"]
        for f in avro_schema("audit_event", 1)["fields"]
        if isinstance(f["type"], dict) and _is_nested(f["type"])
    }
    groups: dict[str, list[tuple[str, str]]] = {name: [] for name in arrays}
    for column in source_columns():
        group, _, field = column.path.partition(".")
        if group in groups:
            groups[group].append((field, column.clickhouse_type.removeprefix("Array(").removesuffix(")")))
    return groups


def _is_nested(kind: Mapping[str, Any]) -> bool:
    return kind["type"] == "array" and isinstance(kind["items"], dict)


def insert_select(table: str, path: str) -> str:
    """Return the statement that stores an Avro file in ``audit_events``.

    Args:
        table: Qualified name of the table.
        path: The file.
    """
    names, groups = avro_names(), nested_groups()
    chosen = {"event_id": "event_id", "ip": "toIPv6OrDefault(ip)"}
    for column in source_columns():
        is_nested = column.path.split(".")[0] in groups
        chosen[column.name] = f"`{column.path}`" if is_nested else f"`{names.get(column.path, column.path)}`"
    chosen |= {
        "kafka_topic": "'audit.events'",
        "kafka_offset": "rowNumberInAllBlocks()",
        "received_at": "now64(3)",
        "retention_class": "'business'",
        "retention_days": _days_sql(),
        "expires_at": "now64(3) + toIntervalDay(retention_days)",
    }
    columns = ", ".join(f"`{name}`" for name in chosen)
    selected = ", ".join(f"{sql} AS `{name}`" for name, sql in chosen.items() if name != "expires_at")
    escaped = structure().replace("'", "\\'")
    inner = f"SELECT {selected} FROM file('{path}', Avro, '{escaped}')"  # noqa: S608 - our own names
    return f"INSERT INTO {table} ({columns}) SELECT *, {chosen['expires_at']} FROM ({inner})"  # noqa: S608 - as above


def _days_sql() -> str:
    days = retention_days()
    codes, values = ", ".join(f"'{c}'" for c in days), ", ".join(map(str, days.values()))
    return f"toUInt16(transform(event_code, [{codes}], [{values}], {default_days()}))"
