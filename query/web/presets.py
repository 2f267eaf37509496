"""Which journals there are: each a fixed filter with its own columns and filters. A table, no code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: How a column is shown; templates/journal_macros.html has a piece for each.
CellKind = Literal[
    "time", "what", "text", "user", "address", "place", "object", "outcome", "severity", "duration", "number", "change"
]
#: Where the values of a filter come from: the schema, the catalogue, what is stored, or whoever types.
Choices = Literal["schema", "products", "codes", "object_types", "stored", "typed"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a journal.

    Attributes:
        title: Its heading.
        kind: How it is shown.
        fields: What it shows, in the order in which its kind expects them.
        sort: Order that its heading offers; empty for none.
    """

    title: str
    kind: CellKind
    fields: tuple[str, ...]
    sort: str = ""


@dataclass(frozen=True, slots=True)
class QuickFilter:
    """A filter that a journal offers without looking for it.

    Attributes:
        name: Name of the filter.
        label: How the page calls it.
        choices: Where its values come from.
    """

    name: str
    label: str
    choices: Choices = "typed"


@dataclass(frozen=True, slots=True)
class Switch:
    """A link that switches one filter on or off.

    Attributes:
        off: Text while everything is shown.
        on: Text while it narrows.
        name: Name of the filter.
        value: Its value.
    """

    off: str
    on: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Preset:
    """One journal.

    Attributes:
        path: Its path.
        name: Name of the page.
        title: Heading and title in the navigation.
        about: What it shows, in a sentence.
        columns: Of its table.
        filters: Offered without looking for them; the period always is.
        fixed: Filters that always hold; one name given twice holds for either value.
        switch: A switch; None for none.
        view: Shown at first: tiles or table.
        facets: Figures beside it.
    """

    path: str
    name: str
    title: str
    about: str
    columns: tuple[Column, ...]
    filters: tuple[QuickFilter, ...]
    fixed: tuple[tuple[str, str], ...] = ()
    switch: Switch | None = None
    view: Literal["tiles", "table"] = "table"
    facets: tuple[str, ...] = ("action", "actor", "object_type", "outcome", "country")


TIME = Column("Time", "time", ("occurred_at",), "time")
WHAT = Column("What", "what", ("event_code", "title"))
USER = Column("User", "user", ("actor_name", "actor_id", "actor_login"), "user")
ADDRESS = Column("IP address", "address", ("ip", "geo_country"), "ip")
OBJECT = Column("Object", "object", ("target_type", "target_id", "target_name"), "object")
OUTCOME = Column("Outcome", "outcome", ("outcome", "outcome_code"))

JOURNAL = Preset(
    "/journal",
    "journal",
    "Audit journal",
    "Everything that was done: who, when, from where, to what.",
    (TIME, WHAT, USER, ADDRESS, OBJECT, OUTCOME),
    (
        QuickFilter("category", "Action type", "schema"),
        QuickFilter("object_type", "Object type", "object_types"),
        QuickFilter("object", "Object"),
        QuickFilter("actor", "User"),
    ),
    view="tiles",
)

_ACCOUNT_LOG = Preset(
    "/account-log",
    "account_log",
    "Account log",
    "Activity of the account and of all its projects, with the object before and after.",
    (
        TIME,
        Column("Subject", "user", ("actor_name", "actor_id", "actor_login"), "user"),
        Column("Subject type", "text", ("actor_type",)),
        ADDRESS,
        Column("Provider", "text", ("auth_provider",)),
        Column("Resource", "object", ("target_type", "target_id", "target_name"), "object"),
        Column("Action", "text", ("event_category",)),
        Column("Status", "change", ("status_before", "status_after")),
        Column("Project", "text", ("project_slug", "project_id")),
        OUTCOME,
    ),
    (
        QuickFilter("object_type", "Resource type", "object_types"),
        QuickFilter("category", "Action", "schema"),
        QuickFilter("actor_type", "Subject type", "schema"),
        QuickFilter("actor", "Subject"),
        QuickFilter("project", "Project"),
    ),
    (("kind", "action"),),
    facets=("object_type", "category", "actor", "project", "outcome"),
)

_API_CALLS = Preset(
    "/api-calls",
    "api_calls",
    "API calls",
    "Calls by dashboard, integration or API, with method, result and duration.",
    (
        TIME,
        Column("Call", "what", ("event_code", "title")),
        Column("Method", "text", ("api_method",)),
        Column("Route", "text", ("api_route",)),
        Column("Status", "number", ("api_status_code",)),
        Column("Duration", "duration", ("duration_ms",)),
        Column("Origin", "text", ("origin", "origin_name")),
        USER,
        ADDRESS,
        OUTCOME,
    ),
    (
        QuickFilter("origin", "Request origin", "schema"),
        QuickFilter("outcome", "Request result", "schema"),
        QuickFilter("origin_name", "Integration"),
        QuickFilter("request", "Request id"),
    ),
    (("kind", "api_call"),),
    Switch("All calls: show errors only", "Errors only: show all calls", "outcome", "failure"),
    facets=("action", "outcome", "origin", "origin_name", "actor"),
)

_ACCESS_LOG = Preset(
    "/access-log",
    "access_log",
    "Access log",
    "Signing in and out of every instance, failures included.",
    (
        TIME,
        Column("Action", "what", ("event_code", "title")),
        USER,
        Column("Tried login", "text", ("auth_attempted_login",)),
        ADDRESS,
        Column("Provider", "text", ("auth_provider",)),
        Column("Method", "text", ("auth_method",)),
        OUTCOME,
    ),
    (
        QuickFilter("action", "Action", "codes"),
        QuickFilter("outcome", "Success", "schema"),
        QuickFilter("actor", "User"),
        QuickFilter("attempted_login", "Tried login"),
    ),
    (("kind", "auth"),),
    facets=("action", "outcome", "actor", "country", "platform"),
)

_LOGIN_HISTORY = Preset(
    "/login-history",
    "login_history",
    "Login history",
    "When members signed in, on which platform and from where; attempts that failed too.",
    (
        Column("Member", "user", ("actor_name", "actor_id", "actor_login"), "user"),
        Column("Login time", "time", ("occurred_at",), "time"),
        Column("Platform", "text", ("platform",)),
        ADDRESS,
        Column("Location", "place", ("geo_city", "geo_region", "geo_country")),
        Column("Tried login", "text", ("auth_attempted_login",)),
        Column("Reason", "text", ("outcome_reason",)),
        OUTCOME,
    ),
    (QuickFilter("actor", "Member"), QuickFilter("outcome", "Result", "schema")),
    (("action", "auth.login"), ("action", "auth.login_failed"), ("action", "auth.denied")),
    Switch("All logins: show failed ones only", "Failed only: show all logins", "outcome", "failure"),
    facets=("outcome", "actor", "country", "platform"),
)

_OPERATION_LOG = Preset(
    "/operation-log",
    "operation_log",
    "Operation log",
    "What members did in the administration, by range and type.",
    (
        TIME,
        Column("Operator", "user", ("actor_name", "actor_id", "actor_login"), "user"),
        Column("Range", "text", ("product",)),
        Column("Type", "what", ("event_code", "title")),
        OBJECT,
        ADDRESS,
        OUTCOME,
    ),
    (
        QuickFilter("product", "Range", "products"),
        QuickFilter("action", "Type", "codes"),
        QuickFilter("actor", "Operator"),
    ),
    (("kind", "action"),),
    facets=("product", "action", "actor", "outcome"),
)

PRESETS = (JOURNAL, _API_CALLS, _ACCOUNT_LOG, _ACCESS_LOG, _LOGIN_HISTORY, _OPERATION_LOG)
