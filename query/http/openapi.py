"""The OpenAPI document, made of the same declarations that requests are read by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from query.http import export_schemas, resend, resend_document, row_schemas, run_log, saved_schemas, tail
from query.http.asking import BODY_KEYS
from query.http.endpoint import Endpoint
from query.http.parameters import Parameter, filter_parameters
from query.http.problems import KINDS, MEDIA_TYPE
from query.http.row_schemas import answer_schema, ref
from query.http.tokens import token_request_schema, token_schema
from query.question import SortName
from query.settings import HttpSettings

Json = dict[str, Any]

#: What any read may be answered with.
_ALWAYS = (
    "invalid-parameter",
    "not-signed-in",
    "forbidden",
    "too-expensive",
    "failed",
    "unavailable",
    "timeout",
)
_BODY = ("too-large", "unsupported-media-type")
_DESCRIPTION = """Reading the audit log. Every answer is confined to the scope of the token; fields with personal data
and bodies are masked unless its role shows them. Reads are recorded as events themselves: `X-Audit-Purpose` and
`X-Audit-Ticket` say what for. A filter is a parameter of its own or a term of `q`; errors name the term and its place."""


def document(endpoints: Sequence[Endpoint], settings: HttpSettings, version: str) -> Json:
    """Return the document.

    Args:
        endpoints: What is documented, beside the tail and the run-log call.
        settings: Limits that it names.
        version: Version of auditstream.
    """
    paths: Json = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    paths[tail.PATH] = {"get": _tail()}
    paths[run_log.PATH] = {"post": _run_log(settings)}
    paths[resend.PATH] = {"post": resend_document.operation(_problems, _ALWAYS)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "auditstream",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": dict(_schemas(settings)),
        },
    }


def _operation(endpoint: Endpoint) -> Json:
    problems = [*_ALWAYS, *endpoint.problems, *(_BODY if endpoint.body else ())]
    operation: Json = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "parameters": list(_parameters(endpoint.parameters, filters=endpoint.filters)),
        "responses": {str(endpoint.status): _done(endpoint), **_problems(problems)},
    }
    if endpoint.body:
        content = {"application/json": {"schema": endpoint.body}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(parameters: Iterable[Parameter], *, filters: bool) -> Iterator[Json]:
    known = list(parameters)
    if filters:
        taken = {p.name for p in known}
        known += [p for p in filter_parameters() if p.name not in taken]
    for parameter in known:
        schema = {"type": "array", "items": parameter.schema} if parameter.many else parameter.schema
        yield {
            "name": parameter.name,
            "in": parameter.where,
            "required": parameter.where == "path",
            "description": parameter.doc,
            "schema": schema,
        }


def _problems(kinds: Iterable[str]) -> Json:
    titles: dict[int, list[str]] = {}
    for kind in kinds:
        status, title = KINDS[kind]
        titles.setdefault(status, []).append(title)
    return {
        str(status): {
            "description": "; ".join(found),
            "content": {MEDIA_TYPE: {"schema": ref("Problem")}},
        }
        for status, found in sorted(titles.items())
    }


def _done(endpoint: Endpoint) -> Json:
    if not endpoint.media_types:
        return _answer("application/json", endpoint.answer)
    content = {media_type: {"schema": dict(endpoint.answer)} for media_type in endpoint.media_types}
    return {"description": "Done.", "content": content}


def _answer(media_type: str, schema: Mapping[str, Any]) -> Json:
    return {"description": "Done.", "content": {media_type: {"schema": schema}}}


def _tail() -> Json:
    step = answer_schema(
        {
            "data": {"type": "array", "items": ref("Event")},
            "position": {"type": "string"},
            "caught_up": {"type": "boolean"},
        }
    )
    done = _answer("application/json", step)
    done["content"][tail.EVENT_STREAM] = {"schema": {"type": "string"}}
    last = Parameter("Last-Event-ID", "The same as `position`, as clients of server-sent events send it.")
    header = {**next(_parameters([last], filters=False)), "in": "header"}
    return {
        "operationId": "tail",
        "summary": "Events in the order of their arrival, without a gap.",
        "description": "With `Accept: text/event-stream` a stream of `events` messages whose id is the position to go "
        "on at; else one step, which waits until something arrives.",
        "tags": ["events"],
        "parameters": [*_parameters(tail.PARAMETERS, filters=True), header],
        "responses": {"200": done, **_problems([*_ALWAYS, "busy"])},
    }


def _run_log(settings: HttpSettings) -> Json:
    answer = {"application/json": {"schema": ref("RunLog")}, "application/xml": {"schema": {"type": "string"}}}
    statuses = {200: "Done."} | dict(_refusals())
    return {
        "operationId": "run_log",
        "summary": "The log of the runs of one object, newest entries in ascending order.",
        "description": "A call of another platform, kept as its clients know it: the token travels in the body, "
        "`error` is 0 or the HTTP status.",
        "tags": ["compatible"],
        "security": [],
        "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"enum": sorted(settings.run_logs)}}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": ref("RunLogRequest")},
                "application/xml": {"schema": {"type": "string"}},
            },
        },
        "responses": {str(status): {"description": text, "content": answer} for status, text in statuses.items()},
    }


def _refusals() -> Iterator[tuple[int, str]]:
    for kind in ("invalid-body", "not-found", "too-large", *_ALWAYS):
        yield KINDS[kind]


def _schemas(settings: HttpSettings) -> Iterator[tuple[str, Json]]:
    yield "Event", row_schemas.event_schema()
    yield "Payload", row_schemas.payload_schema()
    yield "Card", row_schemas.card_schema()
    yield "DeadLetter", row_schemas.dead_letter_schema()
    yield "Batch", row_schemas.batch_schema()
    yield "Detail", _detail()
    yield "CatalogueEntry", _entry()
    yield "Filter", answer_schema({"name": _TEXT, "aliases": _TEXTS, "doc": _TEXT, "expected": _TEXT})
    yield "Me", _me()
    yield "Token", token_schema()
    yield "TokenRequest", token_request_schema()
    yield "Search", _search(settings)
    yield from export_schemas.schemas(_search(settings))
    yield from saved_schemas.schemas(_search(settings))
    yield "Expression", {"oneOf": [{"type": "string"}, {"type": "object", "minProperties": 1, "maxProperties": 1}]}
    yield "Problem", _problem()
    yield from resend_document.schemas()
    yield "RunLogRequest", _run_log_request()
    yield "RunLog", _run_log_answer()


_TEXT: Json = {"type": "string"}
_TEXTS: Json = {"type": "array", "items": {"type": "string"}}


def _or_null(schema: Mapping[str, Any]) -> Json:
    return {"anyOf": [dict(schema), {"type": "null"}]}


def _detail() -> Json:
    return answer_schema(
        {
            "title": _TEXT,
            "event": ref("Event"),
            "payload": _or_null(ref("Payload")),
            "actor": _or_null(ref("Card")),
            "notice": {"type": ["string", "null"]},
        }
    )


def _entry() -> Json:
    texts = ("code", "title", "category", "crud", "record_kind", "object_type", "product", "retention_class")
    more = ("capture_level", "severity", "description")
    return answer_schema(dict.fromkeys((*texts, *more), _TEXT) | {"personal_data": _TEXTS})


def _me() -> Json:
    lists = dict.fromkeys(("tenants", "projects", "products", "record_kinds"), _TEXTS)
    members = dict.fromkeys(("token_id", "name", "role"), _TEXT)
    expiry = {"type": ["string", "null"], "format": "date-time"}
    scope = answer_schema({**lists, "actor_id": _TEXT})
    return answer_schema({**members, "rights": _TEXTS, "scope": scope, "expires_at": expiry})


def _search(settings: HttpSettings) -> Json:
    value = {"oneOf": [_TEXT, {**_TEXTS, "minItems": 1}]}
    members: Json = {
        "query": ref("Expression"),
        "filters": {"type": "object", "additionalProperties": value},
        "any": {"type": "boolean"},
        "not": {"oneOf": [_TEXT, _TEXTS]},
        "tz": _TEXT,
        "sort": {"enum": list(get_args(SortName))},
        "order": {"enum": ["asc", "desc"]},
        "limit": {"type": "integer", "minimum": 1, "maximum": settings.max_rows},
        "cursor": _TEXT,
        "fields": {"oneOf": [_TEXT, _TEXTS]},
        "total": {"type": "boolean"},
    }
    return answer_schema({name: members[name] for name in BODY_KEYS}, required=())


def _problem() -> Json:
    required = ("type", "title", "status", "detail", "request_id")
    texts = ("type", "title", "detail", "request_id", "term", "expected", "suggestion", "parameter", "pointer")
    more = ("hint", "limit", "right", "outcome", "resend_id")
    numbers = {"status": {"type": "integer"}, "position": {"type": "integer"}}
    return answer_schema(dict.fromkeys((*texts, *more), _TEXT) | numbers, required=required)


def _run_log_request() -> Json:
    members: Json = {
        "token": _TEXT,
        "format": {"enum": ["json", "xml"], "default": "json"},
        "from_time": {"type": "string", "format": "date-time"},
        "id": {"type": ["integer", "string"]},
        "limit": {"type": "integer", "minimum": 1, "maximum": run_log.MOST_ENTRIES, "default": run_log.DEFAULT_LIMIT},
    }
    return answer_schema(members, required=("token", "id"))


def _run_log_answer() -> Json:
    entry = answer_schema(
        {
            "level": _TEXT,
            "message": _TEXT,
            "time": {"type": "string", "format": "date-time"},
            "state": {"enum": ["start", "end", ""]},
            "value": _TEXT,
        }
    )
    numbers: Json = {"error": {"type": "integer"}, "total_count": {"type": "integer"}}
    return answer_schema({"data": {"type": "array", "items": entry}, "error_text": _TEXT, **numbers})
