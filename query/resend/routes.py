"""Which route a sendout takes."""

from __future__ import annotations

from collections.abc import Mapping

from query.resend.errors import NoRoute
from query.resend.sendout import Sendout
from query.resend_settings import RouteSettings


def route_of(routes: Mapping[str, RouteSettings], sendout: Sendout) -> str:
    """Return the name of the first route that takes a sendout.

    Raises:
        NoRoute: None does.
    """
    for name, route in routes.items():
        asked = ((route.tenant, sendout.tenant_id), (route.source, sendout.source), (route.type, sendout.event_type))
        if all(_matches(pattern, value) for pattern, value in asked):
            return name
    raise NoRoute(sendout.tenant_id, sendout.source, sendout.event_type)


def _matches(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
