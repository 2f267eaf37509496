"""Which columns every stored row has: the one list that decoder, enrichment, sinks, digests and reads agree on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import pyarrow as pa

Source = Literal["event", "kafka", "computed", "enriched", "server"]

_MICROS = pa.timestamp("us", tz="UTC")
_MILLIS = pa.timestamp("ms", tz="UTC")

#: ClickHouse type -> the Arrow type in which a column is handed to a sink, digested and read back.
ARROW_TYPES: Mapping[str, pa.DataType] = {
    "String": pa.string(),
    "LowCardinality(String)": pa.string(),
    "Bool": pa.bool_(),
    "UInt8": pa.uint8(),
    "UInt16": pa.uint16(),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
    "Int16": pa.int16(),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "Float32": pa.float32(),
    "Float64": pa.float64(),
    "UUID": pa.binary(16),
    "IPv6": pa.binary(16),
    "FixedString(32)": pa.binary(32),
    "DateTime64(3, 'UTC')": _MILLIS,
    "DateTime64(6, 'UTC')": _MICROS,
    "Map(LowCardinality(String), String)": pa.map_(pa.string(), pa.string()),
}


def arrow_type(clickhouse_type: str) -> pa.DataType:
    """Return the Arrow type that carries a ClickHouse column type.

    Args:
        clickhouse_type: A type as written in the migrations, for example ``Array(Nullable(String))``.

    Raises:
        KeyError: The type is not used by auditstream.
    """
    if clickhouse_type.startswith("Nullable("):
        return arrow_type(clickhouse_type[len("Nullable(") : -1])
    if clickhouse_type.startswith("Array("):
        return pa.list_(arrow_type(clickhouse_type[len("Array(") : -1]))
    return ARROW_TYPES[clickhouse_type]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a stored table.

    Attributes:
        name: Column name in ClickHouse. A dot marks an element of a Nested group (``targets.id``).
        clickhouse_type: Type as in the migrations.
        source: Where the value comes from: the Avro event, Kafka itself, computed by the worker, looked up by
            enrichment, or set by the database server on insert.
        path: Path of the value in decoded events, ``""`` unless source is ``event``.
        doc: One sentence for analysts.
    """

    name: str
    clickhouse_type: str
    source: Source
    path: str
    doc: str

    @property
    def arrow(self) -> pa.DataType:
        """Arrow type of the column in a sink batch."""
        return arrow_type(self.clickhouse_type)


_LOW_CARDINALITY = frozenset(
    [
        "schema_version",
        "event_code",
        "tenant_id",
        "project_id",
        "project_slug",
        "product",
        "source_service",
        "source_version",
        "source_host",
        "tz_name",
        "outcome_code",
        "actor_department",
        "auth_provider",
        "on_behalf_of_type",
        "origin_name",
        "platform",
        "user_agent",
        "target_type",
        "parent_type",
        "status_before",
        "status_after",
        "api_method",
        "api_route",
        "api_version",
        "api_operation",
        "auth_method",
        "auth_logout_reason",
        "run_object_type",
        "run_value_unit",
        "task_type",
        "export_kind",
        "export_origin",
        "export_format",
        "hook_event_type",
        "data_class",
        "producer_id",
    ]
)
_UNBOUNDED_LISTS = frozenset({"ip_chain", "subject_ids"})
_PAYLOADS = ("api_query_params", "api_request_body", "api_response_body")
#: Decoded event columns that another column replaces in the table: the text of the client address becomes ``ip``,
#: the per-event override of the retention class becomes the resolved ``retention_class``.
_REPLACED = frozenset({"ip", "event_id", "retention_class"})


def _column(name: str, clickhouse_type: str, source: Source, doc: str) -> Column:
    return Column(name, clickhouse_type, source, "", doc)


IDENTITY = (
    _column("event_id", "UUID", "computed", "Identity of the event; sent twice by its service, it appears twice."),
    _column("ip", "IPv6", "computed", "Trusted client address; IPv4 as ::ffff:a.b.c.d, :: when there is none."),
)

KAFKA = (
    _column("kafka_topic", "LowCardinality(String)", "kafka", "Topic that the row came from."),
    _column("kafka_topic_id", "UUID", "kafka", "Id of that topic; a re-created topic has another one."),
    _column("kafka_partition", "Int32", "kafka", "Partition of the topic."),
    _column("kafka_offset", "Int64", "kafka", "Offset in the partition."),
    _column("received_at", "DateTime64(3, 'UTC')", "kafka", "Timestamp of the Kafka record."),
    _column("schema_id", "Int32", "kafka", "Registry id of the writer schema."),
)

COMPUTED = (
    _column(
        "clock_skew_ms", "Int64", "computed", "occurred_at minus received_at when the event lies in the future, else 0."
    ),
    _column(
        "validation_flags",
        "LowCardinality(String)",
        "computed",
        "Comma-separated names of soft findings, in alphabetical order.",
    ),
    _column("retention_class", "LowCardinality(String)", "computed", "Class that set the retention."),
    _column("retention_days", "UInt16", "computed", "Days kept; 0 is for ever."),
    _column(
        "expires_at",
        "DateTime64(3, 'UTC')",
        "computed",
        "The row is gone after this time; the latest representable time when kept for ever.",
    ),
)

ENRICHED = (
    _column(
        "ip_kind",
        "LowCardinality(String)",
        "enriched",
        "public, private, loopback, link_local, documentation, … or empty without address.",
    ),
    _column("geo_country", "LowCardinality(String)", "enriched", "ISO 3166-1 country code of the address."),
    _column("geo_region", "LowCardinality(String)", "enriched", "Region of the address."),
    _column("geo_city", "LowCardinality(String)", "enriched", "City of the address."),
    _column("geo_lat", "Float32", "enriched", "Latitude, degrees; 0 when unknown."),
    _column("geo_lon", "Float32", "enriched", "Longitude, degrees; 0 when unknown."),
    _column("geo_tz", "LowCardinality(String)", "enriched", "Time zone of the address, IANA name."),
    _column("as_number", "UInt32", "enriched", "Autonomous system number; 0 when unknown."),
    _column("as_org", "LowCardinality(String)", "enriched", "Name of the autonomous system."),
    _column("ip_status", "LowCardinality(String)", "enriched", "none, ok, not_public, not_found, disabled or failed."),
    _column("ip_db_version", "LowCardinality(String)", "enriched", "Build of the address databases used."),
    _column("ua_name", "LowCardinality(String)", "enriched", "Browser or client."),
    _column("ua_version", "LowCardinality(String)", "enriched", "Major version of it."),
    _column("ua_os", "LowCardinality(String)", "enriched", "Operating system."),
    _column("ua_device", "LowCardinality(String)", "enriched", "Device family."),
    _column("actor_directory_status", "LowCardinality(String)", "enriched", "none, ok, not_found, disabled or failed."),
)

INGESTED_AT = Column("ingested_at", "DateTime64(3, 'UTC')", "server", "", "When ClickHouse stored the row.")


@cache
def avro_schema(name: str, version: int) -> dict[str, Any]:
    """Return one published Avro schema as JSON data.

    Args:
        name: ``audit_event`` or ``actor``.
        version: Number of the published version, from 1.

    Raises:
        FileNotFoundError: There is no such version.
    """
    text = resources.files("schemas").joinpath("avro", f"{name}.v{version}.avsc").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def column_name(block: str, field: str) -> str:
    """Name the column of a block's field: ``api.method`` -> ``api_method``, ``task.task_id`` -> ``task_id``."""
    return field if not block or field.startswith(f"{block}_") else f"{block}_{field}"


#: Avro type, or logical type where there is one -> ClickHouse type; text is told apart by its column.
_SCALARS: Mapping[str, str] = {
    "timestamp-micros": "DateTime64(6, 'UTC')",
    "enum": "LowCardinality(String)",
    "map": "Map(LowCardinality(String), String)",
    "boolean": "Bool",
    "int": "Int32",
    "long": "Int64",
    "double": "Float64",
}


def _scalar(name: str, kind: str | dict[str, Any]) -> str:
    """Return the ClickHouse type of an Avro type that fills one column."""
    described: dict[str, Any] = {"type": kind} if isinstance(kind, str) else kind
    if described["type"] == "string":
        return "LowCardinality(String)" if name in _LOW_CARDINALITY else "String"
    return _SCALARS[described.get("logicalType", described["type"])]


def _nullable(kind: str | list[Any] | dict[str, Any]) -> tuple[Any, bool]:
    if isinstance(kind, list):
        return next(k for k in kind if k != "null"), True
    return kind, False


def _field_columns(block: str, field: Mapping[str, Any]) -> Iterator[Column]:
    kind, null = _nullable(field["type"])
    name, path = column_name(block, field["name"]), f"{block}.{field['name']}".lstrip(".")
    if isinstance(kind, dict) and kind["type"] == "record":
        for inner in kind["fields"]:
            yield from _field_columns(field["name"], inner)
    elif isinstance(kind, dict) and kind["type"] == "array":
        item = kind["items"]
        if isinstance(item, dict) and item["type"] == "record":
            for inner in item["fields"]:
                inner_kind, inner_null = _nullable(inner["type"])
                element = _scalar("", inner_kind)
                element = f"Nullable({element})" if inner_null else element
                yield Column(
                    f"{name}.{inner['name']}", f"Array({element})", "event", f"{path}.{inner['name']}", inner["doc"]
                )
        else:
            element = "String" if name in _UNBOUNDED_LISTS else "LowCardinality(String)"
            yield Column(name, f"Array({element})", "event", path, field["doc"])
    else:
        scalar = _scalar(name, kind)
        yield Column(name, f"Nullable({scalar})" if null else scalar, "event", path, field["doc"])


@cache
def wire_columns() -> tuple[Column, ...]:
    """Return a column for every scalar, map or list of the newest AuditEvent schema, in schema order.

    ``path`` of a column is what the decoder calls it. Payload columns and replaced ones are included.
    """
    return tuple(c for f in avro_schema("audit_event", 1)["fields"] for c in _field_columns("", f))


@cache
def event_columns() -> tuple[Column, ...]:
    """Return the columns of ``audit_events`` in table order, without ``ingested_at`` (the server sets it)."""
    wire = tuple(c for c in wire_columns() if c.name not in _REPLACED and c.name not in _PAYLOADS)
    return (*IDENTITY, *wire, *KAFKA, *COMPUTED, *ENRICHED)


@cache
def payload_columns() -> tuple[Column, ...]:
    """Return the columns of ``audit_payloads``: the keys of the event and its bodies, without ``ingested_at``."""
    by_name = {c.name: c for c in (*wire_columns(), *event_columns())}  # the keys are those of the stored event
    keys = ("tenant_id", "event_id", "occurred_at", "request_id")
    kafka = ("kafka_topic", "kafka_topic_id", "kafka_partition", "kafka_offset", "received_at")
    ends = ("retention_days", "expires_at")
    return tuple(
        Column(c.name, "String" if c.name in _PAYLOADS else c.clickhouse_type, c.source, c.path, c.doc)
        for c in (by_name[n] for n in (*keys, *_PAYLOADS, *kafka, *ends))
    )


DEAD_LETTER_COLUMNS = (
    *KAFKA,
    _column("stage", "LowCardinality(String)", "computed", "decode, validate or insert."),
    _column("reason_code", "LowCardinality(String)", "computed", "Stable name of the reason."),
    _column("reason", "String", "computed", "The reason in words, with the value and what was expected."),
    _column("tenant_id", "LowCardinality(String)", "computed", "Tenant, when it could be decoded."),
    _column("event_code", "LowCardinality(String)", "computed", "Event code, when it could be decoded."),
    _column("event_id", "String", "computed", "Event id as received, when it could be decoded."),
    _column("key", "String", "kafka", "Key of the message, raw bytes."),
    _column("headers.name", "Array(String)", "kafka", "Names of the headers."),
    _column("headers.value", "Array(String)", "kafka", "Values of the headers, raw bytes."),
    _column("raw", "String", "kafka", "Value of the message, raw bytes up to the limit."),
    _column("raw_bytes", "UInt64", "kafka", "Size of the whole value, bytes."),
    _column("raw_truncated", "Bool", "computed", "raw was cut at the limit."),
    _column("raw_sha256", "FixedString(32)", "computed", "SHA-256 of the whole value."),
    _column("worker_version", "LowCardinality(String)", "computed", "Version of the worker that rejected it."),
    _column("expires_at", "DateTime64(3, 'UTC')", "computed", "The row is gone after this time."),
)

#: Columns of DEAD_LETTER_COLUMNS whose ClickHouse String holds raw bytes and whose Arrow type is therefore binary.
DEAD_LETTER_BINARY = frozenset({"key", "raw", "headers.value"})

ACTOR_COLUMNS = (
    *(c for f in avro_schema("actor", 1)["fields"] for c in _field_columns("", f)),
    _column("deleted", "Bool", "computed", "The directory removed the actor (tombstone)."),
    _column("kafka_topic_id", "UUID", "kafka", "Id of the topic of the card."),
    _column("kafka_partition", "Int32", "kafka", "Partition of the card."),
    _column("kafka_offset", "Int64", "kafka", "Offset of the card; the highest one wins."),
)
