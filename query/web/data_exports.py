"""Exports of data that services tell of: who took what out, with which filters and parameters."""

from __future__ import annotations

from starlette.responses import Response

from query.access.rights import Right
from query.errors import InvalidCursor
from query.exports import ExportDesk
from query.http.problems import invalid
from query.web import states
from query.web.page import PageRoute
from query.web.visit import Visit

FILTERS = {
    "export": "export",
    "state": "export_state",
    "origin": "origin",
    "actor": "actor_id",
    "tenant": "tenant",
    "since": "since",
    "until": "until",
}
#: What exports of this log call the thing that they exported.
OF_THE_LOG = "audit_log"
_FIELDS = (
    *("event_id", "event_code", "tenant_id", "occurred_at", "title", "request_id", "outcome_reason"),
    *("actor_id", "actor_name", "actor_login", "actor_type", "ip", "geo_country"),
    *("export_id", "export_kind", "export_origin", "export_format", "export_state", "export_filters", "export_params"),
    *("export_row_count", "export_row_limit", "export_truncated", "export_bytes", "export_sha256"),
    *("export_expires_at", "export_download_count", "export_manifest_ref"),
)


async def data_exports(visit: Visit) -> Response:
    """Show the latest state of each export that is in the log."""
    asked = states.asked(visit, FILTERS)
    cursor = visit.values.text("cursor")
    try:
        page = await visit.read(
            lambda reader: reader.latest_states(
                "export", asked.question, limit=states.ROWS, cursor=cursor, fields=_FIELDS
            )
        )
    except InvalidCursor as error:
        raise invalid(error, parameter="cursor") from None
    visit.record(asked.question, rows=len(page.rows))
    return visit.page(
        "data_exports.html",
        page=page,
        asked=asked,
        states=states.statuses("export_state"),
        origins=states.statuses("origin"),
        ours=OF_THE_LOG if ExportDesk in visit.frame.parts and visit.may(Right.EXPORT) else None,
    )


PAGES = (PageRoute("/data-exports", data_exports, name="data_exports", section="Data exports", group="Exports"),)
