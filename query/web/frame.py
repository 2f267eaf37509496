"""What all visits share: the service behind the page, sessions, templates, and the list of pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from query.access.token import Token
from query.http.service import ReadService
from query.web.page import PageRoute, SignInWay
from query.web.rendering import Templates
from query.web.session import Sessions
from query.web.static_files import StaticFiles
from query.web.throttle import Throttle
from query.web_settings import PageSettings

_P = TypeVar("_P")


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything that is there once, whoever visits.

    Attributes:
        service: Answers reads.
        settings: Settings of the page.
        pages: Every page, in the order of the navigation.
        ways: Ways to sign in.
        parts: Further objects that pages need, by their type.
        static: Style sheets and scripts.
        templates: Templates.
        sessions: Signs cookies.
        throttle: Counts failed sign-ins.
    """

    service: ReadService
    settings: PageSettings
    pages: Sequence[PageRoute]
    ways: Sequence[SignInWay]
    parts: Mapping[type, Any]
    static: StaticFiles
    templates: Templates
    sessions: Sessions
    throttle: Throttle

    def part(self, kind: type[_P]) -> _P:
        """Return a part.

        Raises:
            KeyError: It is not there; pages that name it in ``needs`` do not exist then.
        """
        return cast(_P, self.parts[kind])

    def way(self, name: str) -> SignInWay | None:
        """Return a way to sign in, None when it is not there."""
        return next((way for way in self.ways if way.name == name), None)

    def path(self, name: str) -> str | None:
        """Return the path of a page by its name, None when there is none."""
        return next((page.path for page in self.pages if page.name == name), None)

    def page_at(self, path: str) -> PageRoute | None:
        """Return the page of a path as its route declares it, None when there is none."""
        return next((page for page in self.pages if page.path == path), None)

    def sections(self, token: Token) -> Iterator[tuple[str, list[PageRoute]]]:
        """Yield the navigation as far as the rights of a token go: headings with their pages."""
        groups: dict[str, list[PageRoute]] = {}
        for page in self.pages:
            if page.section and (page.right is None or token.may(page.right)):
                groups.setdefault(page.group, []).append(page)
        yield from groups.items()
