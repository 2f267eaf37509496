"""Which filters there are: the one list that command line, text form, documentation and errors come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from query import conditions as kind
from query.conditions import Build
from query.networks import network
from query.objects import involved_object, typed_object
from query.period import EXPECTED as TIME
from schemas.columns import avro_schema, column_name

_SEVERITIES = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_ID = "an id, letter by letter"
_TEXT = "a text, letter by letter"
_NAME = "a text in either case"
_OBJECT = "type/id"


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter.

    Attributes:
        name: How it is called.
        doc: What it matches.
        expected: Which values it takes, to follow the word "expected".
        build: Turns a value into a condition.
        aliases: Further names.
    """

    name: str
    doc: str
    expected: str
    build: Build
    aliases: tuple[str, ...] = ()


@cache
def enum_values(column: str) -> tuple[str, ...]:
    """Return the values that the Avro schema allows in an enum column, in schema order.

    Raises:
        KeyError: The column is no enum.
    """
    return dict(_enums("", avro_schema("audit_event", 1)["fields"]))[column]


def _enums(block: str, fields: list[Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for field in fields:
        branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
        for branch in (b for b in branches if isinstance(b, dict)):
            if branch["type"] == "enum":
                yield column_name(block, field["name"]), tuple(branch["symbols"])
            elif branch["type"] == "record":
                yield from _enums(field["name"], branch["fields"])


def _exact(name: str, column: str, doc: str, *aliases: str, expected: str = _ID) -> Filter:
    return Filter(name, doc, expected, kind.exact(column), aliases)


def _choice(name: str, column: str, doc: str, *aliases: str) -> Filter:
    values = enum_values(column)
    return Filter(name, doc, "one of " + ", ".join(values), kind.choice(column, values), aliases)


def _period() -> Iterator[Filter]:
    yield Filter("since", "Occurred at this time or later.", TIME, kind.since("occurred_at"), ("after", "from"))
    yield Filter("until", "Occurred before this time.", TIME, kind.until("occurred_at"), ("before", "to"))
    yield Filter("stored_since", "Stored at this time or later.", TIME, kind.since("ingested_at"))
    yield Filter("stored_until", "Stored before this time.", TIME, kind.until("ingested_at"))


def _what() -> Iterator[Filter]:
    codes = "an event code, or its beginning followed by *"
    yield Filter(
        "action",
        "Event code; a trailing * stands for any ending.",
        codes,
        kind.code("event_code"),
        ("code", "event_code"),
    )
    yield _choice("category", "event_category", "Normal form of the action.", "event_category")
    yield _choice("crud", "crud", "Coarse verb: create, read, update, delete, execute.")
    yield _choice("kind", "record_kind", "Kind of the record.", "record_kind")
    yield _choice("outcome", "outcome", "Result.", "result")
    yield Filter("outcome_code", "Error code or policy.", _TEXT, kind.exact("outcome_code"))
    yield _choice("severity", "severity", "Level.", "level")
    at_least = kind.at_least("severity", _SEVERITIES)
    yield Filter("min_severity", "Level, or a higher one.", "one of " + ", ".join(_SEVERITIES), at_least)
    yield Filter(
        "text", "Every word occurs in message, reason, names, details or changes.", "words", kind.words(), ("q",)
    )
    entry = "key=value, or a key"
    yield Filter("detail", "Entry of the details.", entry, kind.entry("details"))
    yield Filter("label", "Entry of the labels.", entry, kind.entry("labels"))
    yield Filter("changed", "Name of a field that was changed.", _TEXT, kind.item_of("`changes.field`"))
    yield Filter("flag", "Soft finding of the validation.", "the name of a flag", kind.flag("validation_flags"))


def _who() -> Iterator[Filter]:
    names = ("actor_login", "actor_email", "actor_name")
    anybody = kind.folded(*names, ids=("actor_id",))
    yield Filter(
        "actor",
        "Id, login, e-mail or name of the actor.",
        "an id, login, e-mail or name",
        anybody,
        ("user", "operator", "member"),
    )
    yield _exact("actor_id", "actor_id", "Id of the actor.", "user_id")
    yield Filter("login", "Login of the actor.", _NAME, kind.folded("actor_login"), ("actor_login",))
    yield Filter("name", "Name of the actor.", _NAME, kind.folded("actor_name"), ("actor_name",))
    yield Filter("email", "E-mail of the actor.", _NAME, kind.folded("actor_email"), ("actor_email",))
    yield Filter("attempted_login", "Login that was tried.", _NAME, kind.folded("auth_attempted_login"))
    yield Filter("department", "Department of the actor.", _NAME, kind.folded("actor_department"))
    yield _choice("actor_type", "actor_type", "Kind of the actor.")
    yield Filter("role", "Role that the actor had.", _TEXT, kind.item_of("actor_roles"))
    yield _exact("access_key", "access_key_id", "API key used.", "access_key_id")
    yield _exact("on_behalf_of", "on_behalf_of_id", "Id of whom the actor acted for.")


def _where() -> Iterator[Filter]:
    networks = "an address or network such as 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32, or none"
    yield Filter("ip", "Client address, or a network that holds it.", networks, network("ip"), ("network",))
    yield Filter("ip_kind", "Kind of the address: public, private, …", _TEXT, kind.exact("ip_kind"))
    yield Filter(
        "country", "Country of the address.", "two letters (ISO 3166-1)", kind.country("geo_country"), ("geo_country",)
    )
    yield _choice("origin", "origin", "How the service was called.")
    yield Filter("origin_name", "Name of the calling integration.", _NAME, kind.folded("origin_name"))
    yield Filter("platform", "Platform of the client.", _NAME, kind.folded("platform"))
    yield _exact("service", "source_service", "Service that sent the event.", expected=_TEXT)


def _about() -> Iterator[Filter]:
    yield Filter(
        "object",
        "Object involved: main target, further target or parent.",
        f"{_OBJECT}, or an id",
        involved_object(),
    )
    main = typed_object("target_type", "target_id")
    yield Filter("target", "Main target.", _OBJECT, main)
    yield _exact("object_type", "target_type", "Type of the main target.", "target_type", expected=_TEXT)
    yield _exact("object_id", "target_id", "Id of the main target.", "target_id")
    yield Filter("object_name", "Name of the main target.", _NAME, kind.folded("target_name"), ("target_name",))
    yield Filter("parent", "Parent of the main target.", _OBJECT, typed_object("parent_type", "parent_id"))
    yield _exact("parent_type", "parent_type", "Type of the parent.", expected=_TEXT)
    yield _exact("parent_id", "parent_id", "Id of the parent.")
    yield _exact("tenant", "tenant_id", "Tenant.", "tenant_id", "account")
    yield Filter(
        "project",
        "Id or slug of the project.",
        "an id or slug",
        kind.exact("project_id", "project_slug"),
        ("project_id",),
    )
    yield _exact("product", "product", "Functional area.", "range", expected=_TEXT)
    yield _choice("scope", "scope_level", "Level that the event belongs to.", "scope_level")


def _joins() -> Iterator[Filter]:
    yield Filter("event", "Id of the event.", "a UUID", kind.identity("event_id"), ("event_id", "id"))
    yield _exact("request", "request_id", "Request.", "request_id")
    yield _exact("session", "session_id", "Session.", "session_id")
    yield _exact("correlation", "correlation_id", "Correlation.", "correlation_id")
    yield _exact("trace", "trace_id", "Trace.", "trace_id")
    yield Filter("subject", "Pseudonym of a data subject.", _ID, kind.item_of("subject_ids"))


def _states() -> Iterator[Filter]:
    yield _exact("run", "run_id", "Run of a campaign or scenario.", "run_id")
    yield _choice("run_state", "run_state", "Phase of a run.")
    yield _exact("run_object", "run_object_id", "Object that ran.", "run_object_id")
    yield _exact("run_object_type", "run_object_type", "Type of the object that ran.", expected=_TEXT)
    yield _exact("task", "task_id", "Background task.", "task_id")
    yield Filter("task_type", "Type of a task; a trailing * stands for any ending.", _TEXT, kind.code("task_type"))
    yield _choice("task_status", "task_status", "State of a task.")
    yield _exact("export", "export_id", "Data export.", "export_id")
    yield _choice("export_state", "export_state", "State of an export.", "export_status")
    yield _exact("webhook", "hook_sendout_id", "Webhook sendout.", "sendout")
    yield Filter(
        "webhook_type",
        "Event type that a webhook announces; a trailing * stands for any ending.",
        _TEXT,
        kind.code("hook_event_type"),
    )
    yield _choice("webhook_status", "hook_status", "State of a webhook sendout.", "hook_status")
    yield _exact("webhook_source", "hook_source_id", "Object that caused a webhook.", "source_id")
    yield _exact("webhook_resend_of", "hook_resend_of", "Sendout that a webhook repeats.", "resend_of")
    yield Filter(
        "webhook_created_since",
        "Announced event created at this time or later.",
        TIME,
        kind.known(kind.since("hook_event_created_at")),
    )
    yield Filter(
        "webhook_created_until",
        "Announced event created before this time.",
        TIME,
        kind.known(kind.until("hook_event_created_at")),
    )
    yield Filter(
        "webhook_sent_since", "Webhook sent at this time or later.", TIME, kind.known(kind.since("hook_sent_at"))
    )
    yield Filter("webhook_sent_until", "Webhook sent before this time.", TIME, kind.known(kind.until("hook_sent_at")))


@cache
def all_filters() -> tuple[Filter, ...]:
    """Return every filter, grouped as documented."""
    return (*_period(), *_what(), *_who(), *_where(), *_about(), *_joins(), *_states())


@cache
def by_name() -> Mapping[str, Filter]:
    """Return every filter by its name and its aliases."""
    return {name: f for f in all_filters() for name in (f.name, *f.aliases)}
