"""What pages about single records share: addresses that came with a record, and links to records alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from query.access.personal import MASKED
from query.expression import Term
from query.web import links
from query.web.facts import Told
from query.web.related import journal_address


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture of an actor.

    Attributes:
        url: Where it is.
        is_ours: It lies on this host, so that it may be shown; a picture from elsewhere would tell its host who reads.
    """

    url: str
    is_ours: bool


def picture_of(url: str, public_url: str) -> Picture | None:
    """Return the picture at an address, None when there is none or it is no address that a page may name.

    Args:
        url: The address as it came.
        public_url: Address under which browsers reach the page, empty when it is not known.
    """
    ours = bool(url) and links.local_path(url, "") == url
    ours = ours or bool(public_url and url.startswith(f"{public_url}/"))
    return Picture(url, ours) if ours or is_web_address(url) else None


def is_web_address(text: str) -> bool:
    """Tell whether a text may be a link: http or https with a host, nothing that runs."""
    if not text.startswith(("http://", "https://")) or not text.isprintable():
        return False
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False


def actor_path(tenant: str, actor_id: str) -> str:
    """Return the path of the page of an actor, ``""`` when there is no tenant or id."""
    return f"/actors/{quote(tenant, safe='')}/{quote(actor_id, safe='')}" if tenant and actor_id else ""


def record_context(tenant: str) -> Mapping[str, Any]:
    """Return what ``record_macros.html`` needs.

    Args:
        tenant: Tenant of the record; links to records alike stay within it.
    """

    def alike(told: Told) -> str:
        return journal_address(Term("tenant", tenant), Term(told.fact.term, str(told.value)))

    return {"alike": alike, "is_web_address": is_web_address, "masked": MASKED}
