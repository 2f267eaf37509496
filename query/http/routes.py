"""Every endpoint of the API, once: the routes and the OpenAPI document are both made of this list."""

from __future__ import annotations

from typing import Literal

from query.exports import MEDIA_TYPES
from query.http import events, exports, figures, saved
from query.http.endpoint import Endpoint, Handler
from query.http.parameters import INTERVAL, ORDER, PAGE, QUESTION, TOP, TOTAL, Parameter
from query.http.row_schemas import answer_schema, page_of, ref
from query.http.tokens import ENDPOINTS as TOKENS

_LIST = (*QUESTION, *ORDER, *PAGE)
_TOTALS = {"total": {"type": "integer"}, "total_is_exact": {"type": "boolean"}}
_EVENTS = page_of("Event", more=_TOTALS)
_STATES = page_of("Event")


def _path(name: str, doc: str) -> Parameter:
    return Parameter(name, doc, where="path")


def _states(kind: str, what: str) -> Endpoint:
    summary = f"The latest state of each {what}."
    return Endpoint(
        "GET", f"/api/v1/{kind}s", f"list_{kind}s", summary, events.latest_states(kind), _STATES, _LIST, filters=True
    )


_JOB = _path("job_id", "UUID of the export.")


def _job_endpoint(method: Literal["GET", "POST", "DELETE"], name: str, summary: str, handler: Handler) -> Endpoint:
    return Endpoint(
        method,
        f"{exports.PATH}/{{job_id}}",
        name,
        summary,
        handler,
        ref("ExportJob"),
        (_JOB,),
        code="access.search" if method == "GET" else None,
        tag="exports",
        problems=("not-found",),
    )


EXPORTS = (
    Endpoint(
        "POST",
        exports.PATH,
        "create_export",
        "Ask for an export of the events that a question matches; it is made from now on.",
        exports.ask,
        ref("ExportJob"),
        body=ref("ExportRequest"),
        tag="exports",
        problems=("busy",),
        status=202,
    ),
    Endpoint(
        "GET",
        exports.PATH,
        "list_export_jobs",
        "Exports of the log: who asked when for what, state, rows, downloads. The newest first.",
        exports.list_jobs,
        page_of("ExportJob"),
        exports.LIST,
        tag="exports",
    ),
    _job_endpoint("GET", "get_export", "One export: its state, its progress, its parameters.", exports.one_job),
    _job_endpoint(
        "DELETE",
        "delete_export",
        "Cancel an export that is being made, or remove the file of a ready one; its record stays.",
        exports.withdraw,
    ),
    Endpoint(
        "POST",
        f"{exports.PATH}/{{job_id}}/again",
        "repeat_export",
        "Ask for an export again, with its parameters; relative times mean what they meant the first time.",
        exports.repeat,
        ref("ExportJob"),
        (_JOB,),
        tag="exports",
        problems=("not-found", "busy"),
        status=202,
    ),
    Endpoint(
        "GET",
        f"{exports.PATH}/{{job_id}}/file",
        "download_export",
        "The file of an export. Every download is counted and recorded.",
        exports.file,
        {"type": "string", "format": "binary"},
        (_JOB,),
        # Recorded by what hands the file out.
        code=None,
        tag="exports",
        problems=("not-found", "conflict", "gone"),
        head=False,
        media_types=tuple(MEDIA_TYPES.values()),
    ),
    Endpoint(
        "GET",
        f"{exports.PATH}/{{job_id}}/manifest",
        "get_export_manifest",
        "What an export holds and how to prove it; kept when the file is not.",
        exports.manifest,
        ref("ExportManifest"),
        (_JOB,),
        tag="exports",
        problems=("not-found", "conflict"),
    ),
)

_SEARCH = _path("search_id", "UUID of the search.")


def _search_endpoint(
    method: Literal["GET", "POST", "PUT", "DELETE"], name: str, summary: str, handler: Handler
) -> Endpoint:
    one, written = method != "POST", method in {"POST", "PUT"}
    return Endpoint(
        method,
        f"{saved.PATH}/{{search_id}}" if one else saved.PATH,
        name,
        summary,
        handler,
        ref("SavedSearch"),
        (_SEARCH,) if one else (),
        body=ref("SavedSearchRequest") if written else None,
        # Changes are recorded by what keeps searches; a name and a question of one's own are no read of the log.
        code=None,
        tag="searches",
        problems=(*(["not-found"] if one else []), *(["conflict"] if written else [])),
        status=201 if method == "POST" else 200,
    )


SEARCHES = (
    Endpoint(
        "GET",
        saved.PATH,
        "list_searches",
        "Saved searches: the own ones, and what others share who reach the same tenants.",
        saved.list_searches,
        answer_schema({"data": {"type": "array", "items": ref("SavedSearch")}}),
        code=None,
        tag="searches",
    ),
    _search_endpoint("POST", "save_search", "Keep a question under a name.", saved.save),
    _search_endpoint("GET", "get_search", "One saved search.", saved.one_search),
    _search_endpoint("PUT", "change_search", "Replace a saved search: rename, ask else, share.", saved.change),
    _search_endpoint("DELETE", "delete_search", "Delete a saved search.", saved.delete),
)

ENDPOINTS = (
    *EXPORTS,
    *TOKENS,
    *SEARCHES,
    Endpoint(
        "GET",
        "/api/v1/events",
        "list_events",
        "Events by time, page by page.",
        events.list_events,
        _EVENTS,
        (*_LIST, TOTAL),
        filters=True,
    ),
    Endpoint(
        "POST",
        "/api/v1/events/search",
        "search_events",
        "The same, asked by a JSON body.",
        events.search_events,
        answer_schema(
            {
                "data": {"type": "array", "items": ref("Event")},
                "next_cursor": {"type": ["string", "null"]},
                **_TOTALS,
            },
            required=("data", "next_cursor"),
        ),
        body=ref("Search"),
    ),
    Endpoint(
        "GET",
        "/api/v1/events/{event_id}",
        "get_event",
        "One event: all its fields, its bodies, the card of its actor now, and how often it was delivered.",
        events.one_event,
        answer_schema(
            {
                "data": {"type": "array", "items": ref("Detail")},
                "deliveries": {"type": "integer"},
                "conflict": {"type": "boolean"},
            }
        ),
        (_path("event_id", "UUID of the event."),),
        code="access.view",
        problems=("not-found",),
    ),
    Endpoint(
        "GET",
        "/api/v1/runs",
        "list_runs",
        "Entries of the logs of runs.",
        events.list_runs,
        _EVENTS,
        (*_LIST, TOTAL),
        filters=True,
    ),
    _states("task", "background task"),
    _states("export", "data export"),
    _states("webhook", "webhook sendout"),
    Endpoint(
        "GET",
        "/api/v1/actors/{tenant}/{actor_id}",
        "get_actor",
        "The card of an actor as it is now, with a notice when the actor has left.",
        events.actor,
        answer_schema({"actor": ref("Card"), "notice": {"type": ["string", "null"]}}),
        (_path("tenant", "Tenant of the actor."), _path("actor_id", "Id of the actor.")),
        code="access.view",
        problems=("not-found",),
    ),
    Endpoint(
        "GET",
        "/api/v1/count",
        "count_events",
        "How many events match; where `is_exact` is false, so many at most.",
        figures.count,
        answer_schema({"events": {"type": "integer"}, "is_exact": {"type": "boolean"}}),
        QUESTION,
        filters=True,
        tag="figures",
    ),
    Endpoint(
        "GET",
        "/api/v1/histogram",
        "get_histogram",
        "How many events match, by interval of the zone; empty intervals are left out.",
        figures.histogram,
        answer_schema(
            {
                "interval": {"type": "string"},
                "tz": {"type": "string"},
                "data": {
                    "type": "array",
                    "items": answer_schema(
                        {
                            "start": {"type": "string", "format": "date-time"},
                            "events": {"type": "integer"},
                            "is_exact": {"type": "boolean"},
                        }
                    ),
                },
            }
        ),
        (*QUESTION, INTERVAL),
        filters=True,
        tag="figures",
    ),
    Endpoint(
        "GET",
        "/api/v1/facets/{name}",
        "get_facet",
        "The most frequent values of a column; `/api/v1/filters` lists the facets.",
        figures.facet,
        answer_schema(
            {
                "facet": {"type": "string"},
                "data": {
                    "type": "array",
                    "items": answer_schema(
                        {
                            "value": {"type": ["string", "null"]},
                            "events": {"type": "integer"},
                            "is_exact": {"type": "boolean"},
                        }
                    ),
                },
            }
        ),
        (_path("name", "Name of the facet."), *QUESTION, TOP),
        filters=True,
        tag="figures",
        problems=("not-found",),
    ),
    Endpoint(
        "GET",
        "/api/v1/dead-letters",
        "list_dead_letters",
        "Messages that were refused, with reason, origin and bytes (base64), those stored last first.",
        figures.dead_letters,
        page_of("DeadLetter"),
        (*figures.LETTER_FILTERS, *figures.RANGE_FILTERS, *PAGE),
        tag="ledger",
    ),
    Endpoint(
        "GET",
        "/api/v1/batches",
        "list_batches",
        "The manifest: which offsets of which partition were stored, refused, left out, with digests.",
        figures.batches,
        page_of("Batch"),
        (*figures.RANGE_FILTERS, *PAGE),
        tag="ledger",
    ),
    Endpoint(
        "GET",
        "/api/v1/catalogue",
        "get_catalogue",
        "Every event code, with title, category, retention class and personal fields.",
        figures.catalogue,
        answer_schema({"digest": {"type": "string"}, "data": {"type": "array", "items": ref("CatalogueEntry")}}),
        code=None,
        tag="reference",
    ),
    Endpoint(
        "GET",
        "/api/v1/filters",
        "get_filters",
        "Every filter with what it matches and takes, and every facet.",
        figures.filters,
        answer_schema(
            {
                "data": {"type": "array", "items": ref("Filter")},
                "facets": {"type": "array", "items": {"type": "string"}},
            }
        ),
        code=None,
        tag="reference",
    ),
    Endpoint(
        "GET",
        "/api/v1/me",
        "get_me",
        "What the token is, which records it reaches and what it may do.",
        figures.me,
        ref("Me"),
        code=None,
        tag="reference",
    ),
)
