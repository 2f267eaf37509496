"""JSON Schemas of rows, from the one list of columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from query.fields import READ_FIELDS
from schemas.columns import ACTOR_COLUMNS, DEAD_LETTER_COLUMNS, INGESTED_AT, Column, event_columns, payload_columns

#: Beginning of a ClickHouse type -> schema of its values; every other type is a text.
_SCALARS: Mapping[str, Mapping[str, str]] = {
    "DateTime64": {"type": "string", "format": "date-time"},
    "Int": {"type": "integer"},
    "UInt": {"type": "integer"},
    "Float": {"type": "number"},
    "Bool": {"type": "boolean"},
}


def schema_of_type(clickhouse_type: str) -> dict[str, Any]:
    """Return the JSON Schema of the values of a ClickHouse type, as answers hold them.

    What is masked is the text ``[masked]`` in place of a text and null in place of anything else.
    """
    kind = clickhouse_type
    if kind.startswith("Array("):
        return {"type": "array", "items": schema_of_type(kind[len("Array(") : -1])}
    if kind.startswith("Map("):
        return {"type": "object", "additionalProperties": {"type": "string"}}
    kind = kind.removeprefix("Nullable(").removeprefix("LowCardinality(")
    found = next((schema for start, schema in _SCALARS.items() if kind.startswith(start)), {"type": "string"})
    return {**found, "type": [found["type"], "null"]}


def row_schema(columns: Iterable[Column], *, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON Schema of a row; none of its members is required, since fields can be chosen.

    Args:
        columns: Columns of the table; a Nested group becomes a list of objects.
        more: Members that are no columns.
    """
    members: dict[str, Any] = dict(more or {})
    for column in columns:
        name, _, part = column.name.partition(".")
        schema = schema_of_type(column.clickhouse_type)
        if part:
            group = members.setdefault(name, {"type": "array", "items": {"type": "object", "properties": {}}})
            group["items"]["properties"][part] = {**schema["items"], "description": column.doc}
        else:
            members[name] = {**schema, "description": column.doc}
    return {"type": "object", "additionalProperties": False, "properties": members}


def _sentence(doc: str) -> dict[str, Any]:
    return {"type": "string", "description": doc}


def event_schema() -> dict[str, Any]:
    """Return the schema of an event."""
    kinds = {"deliveries": "integer", "conflict": "boolean"}
    made = {name: {"type": kinds[name], "description": doc} for name, doc in READ_FIELDS.items()}
    title = {"title": _sentence("What happened, in a sentence of the catalogue.")}
    return row_schema((*event_columns(), INGESTED_AT), more=title | made)


def payload_schema() -> dict[str, Any]:
    """Return the schema of the bodies of an event."""
    return row_schema((*payload_columns(), INGESTED_AT))


def card_schema() -> dict[str, Any]:
    """Return the schema of an actor's card."""
    internal = ("tenant_id", "kafka_topic_id", "kafka_partition", "kafka_offset")
    return row_schema(c for c in ACTOR_COLUMNS if c.name not in internal)


def dead_letter_schema() -> dict[str, Any]:
    """Return the schema of a dead letter; bytes are base64."""
    return row_schema((*DEAD_LETTER_COLUMNS, INGESTED_AT))


def batch_schema() -> dict[str, Any]:
    """Return the schema of a range in the manifest."""
    return row_schema(Column(n, kind, "server", "", doc) for n, (kind, doc) in _BATCH_COLUMNS.items())


def page_of(reference: str, *, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of a page of rows.

    Args:
        reference: Name of the schema of a row.
        more: Further members.
    """
    return answer_schema(
        {
            "data": {"type": "array", "items": ref(reference)},
            "next_cursor": {"type": ["string", "null"]},
            "links": {
                "type": "object",
                "required": ["self"],
                "properties": {"self": {"type": "string"}, "next": {"type": "string"}},
            },
            **(more or {}),
        },
        required=("data", "next_cursor", "links"),
    )


def answer_schema(members: Mapping[str, Any], *, required: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the schema of an object; all members are required unless some are named."""
    needed = list(members if required is None else required)
    return {"type": "object", "additionalProperties": False, "required": needed, "properties": dict(members)}


def ref(name: str) -> dict[str, str]:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


#: Column of the manifest -> its type, and what it says.
_BATCH_COLUMNS: Mapping[str, tuple[str, str]] = {
    "kafka_topic": ("String", "Topic."),
    "kafka_topic_id": ("UUID", "Id of the topic."),
    "kafka_partition": ("Int32", "Partition of it."),
    "first_offset": ("Int64", "First offset of the range."),
    "last_offset": ("Int64", "Last offset of the range."),
    "stored": ("UInt64", "Events stored."),
    "dead_lettered": ("UInt64", "Messages refused."),
    "filtered": ("UInt64", "Messages left out by a setting."),
    "skipped": ("UInt64", "Offsets without a message."),
    "schema_ids": ("Array(Int32)", "Registry ids of the writer schemas."),
    "digests.day": ("Array(Int32)", "Day of expiry, days since 1970."),
    "digests.rows": ("Array(UInt64)", "Rows that expire on it."),
    "digests.sha256": ("Array(String)", "Digest of these rows, hexadecimal."),
    "previous_sha256": ("String", "Digest of the range before, hexadecimal."),
    "sha256": ("String", "Digest of this row, hexadecimal."),
    "ingested_at": ("DateTime64(3, 'UTC')", "When it was stored."),
}
