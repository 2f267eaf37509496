"""What the OpenAPI document says about sending a webhook again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from query.http.row_schemas import answer_schema, ref
from query.resend.request import MAX_REASON_CHARACTERS

Json = dict[str, Any]

PROBLEMS = ("invalid-body", "not-found", "conflict", "not-resent", "too-large", "unsupported-media-type")
_TEXT: Json = {"type": "string"}


def operation(problems: Callable[[Iterable[str]], Json], always: Iterable[str]) -> Json:
    """Return the operation.

    Args:
        problems: Makes responses of kinds of problems.
        always: Kinds that every operation may answer with.
    """
    done = {
        "description": "Done.",
        "content": {"application/json": {"schema": answer_schema({"resend": ref("Resend")})}},
    }
    return {
        "operationId": "resend_webhook",
        "summary": "Ask the service that sent a webhook to send it again.",
        "description": "One `Idempotency-Key` asks once for one sendout: repeated, it gets the outcome of then, with "
        "`repeated` true. Only a sendout whose latest state is `error` and for which nobody asked since is sent again "
        "without `force`. Needs the right `resend`; the setting `resend.routes` says which service is asked, and how.",
        "tags": ["webhooks"],
        "parameters": list(_parameters()),
        "requestBody": {"required": True, "content": {"application/json": {"schema": ref("ResendRequest")}}},
        "responses": {"200": done, **problems([*always, *PROBLEMS])},
    }


def _parameters() -> Iterator[Json]:
    sendout = "Id of the sendout."
    key = "Names the request; without it every call is a request of its own."
    yield {"name": "sendout_id", "in": "path", "required": True, "description": sendout, "schema": _TEXT}
    schema = {**_TEXT, "pattern": r"^[\x21-\x7e]{1,200}$"}
    yield {"name": "Idempotency-Key", "in": "header", "required": False, "description": key, "schema": schema}


def schemas() -> Iterator[tuple[str, Json]]:
    """Yield the schemas that the operation refers to, by name."""
    reason = {"type": "string", "minLength": 1, "maxLength": MAX_REASON_CHARACTERS}
    members: Mapping[str, Any] = {"reason": reason, "force": {"type": "boolean"}, "tenant": _TEXT}
    yield "ResendRequest", answer_schema(members, required=("reason",))
    texts = ("resend_id", "idempotency_key", "tenant_id", "sendout_id", "detail", "route", "reason")
    yield (
        "Resend",
        answer_schema(
            {
                **dict.fromkeys(texts, _TEXT),
                "outcome": {"enum": ["accepted"]},
                "http_status": {"type": ["integer", "null"]},
                "attempts": {"type": "integer"},
                "asked_at": {"type": "string", "format": "date-time"},
                "asked_by": answer_schema(dict.fromkeys(("type", "id", "name"), _TEXT)),
                "forced": {"type": "boolean"},
                "repeated": {"type": "boolean"},
            }
        ),
    )
