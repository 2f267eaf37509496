"""Which fields of an event are shown where, under which words: a table, so that no field is forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from query.fields import Row

Form: TypeAlias = Literal["text", "moment", "milliseconds", "bytes", "number", "list", "flag", "reference"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One field of an event.

    Attributes:
        label: What it is, in words.
        field: Its name.
        form: How its value is written.
        term: Name of the filter that finds events with the same value; empty for none.
    """

    label: str
    field: str
    form: Form = "text"
    term: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A fact with the value that an event has.

    Attributes:
        fact: The fact.
        value: The value, never an empty one.
    """

    fact: Fact
    value: Any


@dataclass(frozen=True, slots=True)
class Group:
    """Facts under one heading.

    Attributes:
        title: The heading.
        facts: What an event has of them, in order.
    """

    title: str
    facts: Sequence[Told]


WHO = (
    Fact("Name then", "actor_name", term="name"),
    Fact("Kind", "actor_type", term="actor_type"),
    Fact("Id", "actor_id", term="actor_id"),
    Fact("Login", "actor_login", term="login"),
    Fact("E-mail then", "actor_email", term="email"),
    Fact("Department then", "actor_department", term="department"),
    Fact("Status then", "actor_status"),
    Fact("Roles", "actor_roles", "list"),
    Fact("Permissions", "actor_permissions", "list"),
    Fact("Signed in through", "auth_provider"),
    Fact("API key", "access_key_id", term="access_key"),
    Fact("API group", "access_group_id"),
    Fact("Acted for", "on_behalf_of_id", term="on_behalf_of"),
    Fact("Kind of whom it acted for", "on_behalf_of_type"),
    Fact("Looked up in the directory", "actor_directory_status"),
)
WHERE = (
    Fact("IP address", "ip", term="ip"),
    Fact("Kind of address", "ip_kind", term="ip_kind"),
    Fact("Country", "geo_country", term="country"),
    Fact("Region", "geo_region"),
    Fact("City", "geo_city"),
    Fact("Latitude", "geo_lat", "number"),
    Fact("Longitude", "geo_lon", "number"),
    Fact("Time zone of the place", "geo_tz"),
    Fact("Autonomous system", "as_number", "number"),
    Fact("Operator of the network", "as_org"),
    Fact("Called through", "origin", term="origin"),
    Fact("Integration", "origin_name", term="origin_name"),
    Fact("Platform", "platform", term="platform"),
    Fact("Browser or client", "ua_name"),
    Fact("Its version", "ua_version"),
    Fact("Operating system", "ua_os"),
    Fact("Device", "ua_device"),
    Fact("User agent as received", "user_agent"),
    Fact("Forwarded addresses", "ip_chain", "list"),
    Fact("Of these, our own proxies", "ip_trusted_hops", "number"),
    Fact("Looked up in the address databases", "ip_status"),
    Fact("Build of these databases", "ip_db_version"),
)
WHAT = (
    Fact("Type", "target_type", term="object_type"),
    Fact("Id", "target_id", term="object_id"),
    Fact("Name then", "target_name", term="object_name"),
    Fact("Type of the parent", "parent_type", term="parent_type"),
    Fact("Id of the parent", "parent_id", term="parent_id"),
    Fact("Objects touched", "affected_count", "number"),
    Fact("Filter or query of the action", "resource_query"),
    Fact("File with the filter or a large payload", "resource_ref", "reference"),
    Fact("Tenant", "tenant_id", term="tenant"),
    Fact("Project", "project_id", term="project"),
    Fact("Name of the project", "project_slug"),
    Fact("Product", "product", term="product"),
    Fact("Level", "scope_level", term="scope"),
)
RESULT = (
    Fact("Code of the result", "outcome_code", term="outcome_code"),
    Fact("Reason", "outcome_reason"),
    Fact("Duration", "duration_ms", "milliseconds"),
    Fact("Message", "message"),
    Fact("Event code", "event_code", term="action"),
    Fact("Category", "event_category", term="category"),
    Fact("Verb", "crud", term="crud"),
    Fact("Kind of record", "record_kind", term="kind"),
)
CALL = (
    Fact("Method", "api_method"),
    Fact("Route", "api_route"),
    Fact("Operation", "api_operation"),
    Fact("Version of the API", "api_version"),
    Fact("HTTP status", "api_status_code", "number"),
    Fact("Request body", "api_request_bytes", "bytes"),
    Fact("Response body", "api_response_bytes", "bytes"),
    Fact("A body was cut by the service", "api_truncated", "flag"),
    Fact("What was captured", "api_capture_level"),
    Fact("Customer", "api_customer_id", term="object"),
    Fact("Campaign", "api_campaign_id", term="object"),
    Fact("Incentive", "api_incentive_id", term="object"),
)
SIGN_IN = (
    Fact("Event", "auth_event"),
    Fact("Login tried", "auth_attempted_login", term="attempted_login"),
    Fact("Method", "auth_method"),
    Fact("Second factor", "auth_mfa", "flag"),
    Fact("New device", "auth_new_device", "flag"),
    Fact("Why signed out", "auth_logout_reason"),
)
RUN = (
    Fact("Run", "run_id", term="run"),
    Fact("Type of what ran", "run_object_type", term="run_object_type"),
    Fact("What ran", "run_object_id", term="run_object"),
    Fact("Phase", "run_state", term="run_state"),
    Fact("Value", "run_value"),
    Fact("Value as a number", "run_value_num", "number"),
    Fact("Its unit", "run_value_unit"),
)
TASK = (
    Fact("Task", "task_id", term="task"),
    Fact("Type", "task_type", term="task_type"),
    Fact("Status", "task_status", term="task_status"),
    Fact("Number of this state", "task_state_seq", "number"),
    Fact("Progress, per cent", "task_progress_pct", "number"),
    Fact("Items done", "task_done_items", "number"),
    Fact("Items in all", "task_total_items", "number"),
    Fact("Started", "task_started_at", "moment"),
    Fact("Last updated", "task_updated_at", "moment"),
    Fact("Finished", "task_finished_at", "moment"),
    Fact("Processing time", "task_processing_ms", "milliseconds"),
    Fact("Result", "task_result"),
    Fact("Error", "task_error"),
)
EXPORT = (
    Fact("Export", "export_id", term="export"),
    Fact("Kind", "export_kind"),
    Fact("Asked for through", "export_origin"),
    Fact("Filters", "export_filters"),
    Fact("Parameters", "export_params"),
    Fact("Format", "export_format"),
    Fact("State", "export_state", term="export_state"),
    Fact("Number of this state", "export_state_seq", "number"),
    Fact("Rows", "export_row_count", "number"),
    Fact("Limit of rows", "export_row_limit", "number"),
    Fact("Cut at the limit", "export_truncated", "flag"),
    Fact("Size", "export_bytes", "bytes"),
    Fact("SHA-256", "export_sha256"),
    Fact("Merkle root", "export_merkle_root"),
    Fact("Expires", "export_expires_at", "moment"),
    Fact("Downloads", "export_download_count", "number"),
    Fact("Manifest", "export_manifest_ref", "reference"),
)
WEBHOOK = (
    Fact("Sendout", "hook_sendout_id", term="webhook"),
    Fact("Type", "hook_event_type", term="webhook_type"),
    Fact("Source", "hook_source_id", term="webhook_source"),
    Fact("URL", "hook_url"),
    Fact("Status", "hook_status", term="webhook_status"),
    Fact("Attempt", "hook_attempt", "number"),
    Fact("Attempts at most", "hook_max_attempts", "number"),
    Fact("Next attempt", "hook_next_retry_at", "moment"),
    Fact("HTTP status", "hook_http_status", "number"),
    Fact("Error", "hook_error"),
    Fact("Announced event created", "hook_event_created_at", "moment"),
    Fact("Sent", "hook_sent_at", "moment"),
    Fact("Sent again for", "hook_resend_of", term="webhook"),
    Fact("Sent again by", "hook_resent_by"),
    Fact("Payload", "hook_payload_ref", "reference"),
)
READING = (
    Fact("Filters used", "access_filter_fields", "list"),
    Fact("Period", "access_window"),
    Fact("Rows returned", "access_rows_returned", "number"),
    Fact("Purpose", "access_purpose"),
    Fact("Ticket", "access_ticket"),
    Fact("Digest of the question", "access_query_hash"),
)
TOGETHER = (
    Fact("Event", "event_id", term="event"),
    Fact("Request", "request_id", term="request"),
    Fact("Session", "session_id", term="session"),
    Fact("Business transaction", "correlation_id", term="correlation"),
    Fact("Caused by", "causation_id", term="event"),
    Fact("Trace", "trace_id", term="trace"),
    Fact("Data subjects", "subject_ids", "list"),
)
STORED = (
    Fact("Topic", "kafka_topic"),
    Fact("Id of the topic", "kafka_topic_id"),
    Fact("Partition", "kafka_partition", "number"),
    Fact("Offset", "kafka_offset", "number"),
    Fact("Received by Kafka", "received_at", "moment"),
    Fact("Stored", "ingested_at", "moment"),
    Fact("Clock of the service ahead by", "clock_skew_ms", "milliseconds"),
    Fact("Findings of the validation", "validation_flags", term="flag"),
    Fact("Service", "source_service", term="service"),
    Fact("Version of the service", "source_version"),
    Fact("Host of the service", "source_host"),
    Fact("Producer", "producer_id"),
    Fact("Number within the producer", "producer_seq", "number"),
    Fact("Version of the envelope", "schema_version"),
    Fact("Schema id", "schema_id", "number"),
    Fact("Retention class", "retention_class"),
    Fact("Days kept (0: for ever)", "retention_days", "number"),
    Fact("Gone after", "expires_at", "moment"),
    Fact("Classification", "data_class"),
    Fact("Fields with personal data", "pii_fields", "list"),
    Fact("Key of the personal fields", "subject_key_id"),
)
TIME = (
    Fact("Zone of the event", "tz_name"),
    Fact("Its offset from UTC, minutes", "tz_offset_min", "number"),
)
#: Headings of the facts that only records of some kind have.
BY_KIND = (
    ("API call", CALL),
    ("Sign-in", SIGN_IN),
    ("Run", RUN),
    ("Background task", TASK),
    ("Data export", EXPORT),
    ("Webhook", WEBHOOK),
    ("Read of the audit log", READING),
)
#: Fields that the page shows in a form of their own.
ELSEWHERE = frozenset(
    {
        "occurred_at",
        "outcome",
        "severity",
        "actor_avatar_url",
        "targets",
        "changes",
        "status_before",
        "status_after",
        "resource_snapshot",
        "details",
        "labels",
        "redactions",
    }
)
#: Values that stand for "there is none", beside empty ones; zero is a value unless its field is named here.
_NOTHING: tuple[object, ...] = ("", "unspecified", None, [], {})
_ZERO_IS_NOTHING = frozenset(
    {
        "as_number",
        "geo_lat",
        "geo_lon",
        "hook_attempt",
        "task_state_seq",
        "export_state_seq",
        "producer_seq",
        "ip_trusted_hops",
        "clock_skew_ms",
        "tz_offset_min",
        "schema_id",
    }
)


def told(facts: Sequence[Fact], event: Row) -> list[Told]:
    """Return what an event has of some facts.

    Args:
        facts: Which ones.
        event: A stored event with all its fields.
    """
    return [Told(fact, event[fact.field]) for fact in facts if is_told(fact.field, event[fact.field])]


def groups_by_kind(event: Row) -> Iterator[Group]:
    """Yield what an event has of the facts that only some kinds of records have."""
    for title, facts in BY_KIND:
        found = told(facts, event)
        # An event without the block has nothing but flags that are false.
        if any(t.fact.form != "flag" or t.value for t in found):
            yield Group(title, found)


def is_told(name: str, value: object) -> bool:
    """Tell whether the value of a field says something."""
    if name in _ZERO_IS_NOTHING and value == 0:
        return False
    return value not in _NOTHING


def differing(one: Row, other: Row) -> list[str]:
    """Return the fields in which two deliveries of an event differ, without those that tell of the delivery itself."""
    return sorted(name for name in one if name not in _OF_DELIVERY and one[name] != other[name])


_OF_DELIVERY = frozenset(
    {
        "title",
        "kafka_topic",
        "kafka_topic_id",
        "kafka_partition",
        "kafka_offset",
        "received_at",
        "ingested_at",
        "expires_at",
        "clock_skew_ms",
        "producer_id",
        "producer_seq",
        "schema_id",
        "ip_db_version",
    }
)


def zoned(moment: datetime, zone: Any) -> str:  # noqa: ANN401 - a zone of zoneinfo
    """Return a moment in a zone with microseconds and offset."""
    return moment.astimezone(zone).isoformat(sep=" ", timespec="microseconds")
