"""In which time zone the page shows and reads times: the project's, the browser's, UTC, or a named one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from starlette.requests import Request

from query.access.token import Token
from query.errors import InvalidFilter
from query.period import parse_zone
from query.web_settings import PageSettings

CHOICE_COOKIE = "auditstream_zone"
#: Written by page.js, since only the browser knows it.
BROWSER_COOKIE = "auditstream_browser_zone"
PROJECT, BROWSER = "project", "browser"


@dataclass(frozen=True, slots=True)
class ShownZone:
    """The zone of one visit.

    Attributes:
        zone: The zone.
        choice: ``project``, ``browser``, or the name of a zone.
        project: Name of the project's zone.
        browser: Name of the browser's zone, ``""`` while it has not told.
    """

    zone: ZoneInfo
    choice: str
    project: str
    browser: str

    @property
    def name(self) -> str:
        """Its IANA name."""
        return self.zone.key

    @property
    def label(self) -> str:
        """Its name, and whose it is: as headings show it."""
        whose = {PROJECT: "project time", BROWSER: "your browser's time"}.get(self.choice)
        return f"{self.name} ({whose})" if whose else self.name


def zone_of(request: Request, settings: PageSettings, token: Token | None) -> ShownZone:
    """Return the zone of a visit: that of the address (``tz``), else the one chosen before, else the project's.

    A zone in the address that does not exist is left to whoever reads the address.
    """
    project = project_zone(settings, request.query_params.get("project", ""), token)
    browser = _known(request.cookies.get(BROWSER_COOKIE, ""))
    choice = _known(request.query_params.get("tz", "")) or request.cookies.get(CHOICE_COOKIE, PROJECT)
    named = {PROJECT: project, BROWSER: browser}.get(choice) or _known(choice)
    if not named:
        choice, named = PROJECT, project
    return ShownZone(parse_zone(named), choice, project, browser)


def project_zone(settings: PageSettings, project: str, token: Token | None) -> str:
    """Return the name of the zone of a project: the one asked for, else the only one of the token."""
    projects = token.scope.projects if token else ()
    named = project or (projects[0] if len(projects) == 1 else "")
    return settings.project_zones.get(named, settings.zone)


@cache
def zone_names() -> tuple[str, ...]:
    """Return all zones, UTC first."""
    return ("UTC", *sorted(n for n in available_timezones() if "/" in n and not n.startswith(("Etc/", "posix"))))


def _known(name: str) -> str:
    try:
        return parse_zone(name).key if name and name not in (PROJECT, BROWSER) else ""
    except InvalidFilter:
        return ""
