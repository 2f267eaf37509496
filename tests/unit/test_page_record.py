"""Addresses that come with records: what may be a picture, what may be a link, and where links of ours lead."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from query.expression import Term
from query.web.record import Picture, actor_path, is_web_address, picture_of
from query.web.related import journal_address

PUBLIC = "https://audit.example.com"


@pytest.mark.parametrize("url", ["/pictures/ann.png", "/p?id=1", f"{PUBLIC}/pictures/ann.png"])
def test_a_picture_on_our_own_host_may_be_shown(url: str) -> None:
    assert picture_of(url, PUBLIC) == Picture(url, is_ours=True)


@pytest.mark.parametrize(
    "url",
    ["https://elsewhere.example/ann.png", "http://elsewhere.example", f"{PUBLIC}.evil.example/a.png", f"{PUBLIC}:8/a"],
)
def test_a_picture_of_another_host_is_named_only(url: str) -> None:
    assert picture_of(url, PUBLIC) == Picture(url, is_ours=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,<script>1</script>",
        "//evil.example/a.png",
        "/\\evil.example/a.png",
        "/\tevil",
        "https://",
        "https://[",
        "https://e.example/\u202egnp.exe",
        "https://e.example/\n",
        "ann.png",
    ],
)
def test_what_is_no_address_of_the_web_is_no_picture_and_no_link(url: str) -> None:
    assert picture_of(url, PUBLIC) is None
    assert not is_web_address(url)


def test_without_a_public_address_only_paths_are_ours() -> None:
    assert picture_of("https://audit.example.com/a.png", "") == Picture(
        "https://audit.example.com/a.png", is_ours=False
    )


@pytest.mark.parametrize("actor_id", ["u-1", "u/1", "a b", "../..", "ä?x=1#y", "%2F"])
def test_the_path_of_an_actor_holds_any_id_as_one_part(actor_id: str) -> None:
    path = actor_path("acme", actor_id)
    assert path.startswith("/actors/acme/")
    assert path.count("/") == 3
    assert urlsplit(path).path == path


def test_an_actor_without_an_id_or_a_tenant_has_no_page() -> None:
    assert actor_path("", "u-1") == actor_path("acme", "") == ""


def test_an_address_of_the_journal_holds_each_filter_and_means_all_times_unless_one_is_named() -> None:
    values = {"tenant": "acme", "object": "type/a&b=c d"}
    address = journal_address(*(Term(name, value) for name, value in values.items()))
    assert dict(parse_qsl(urlsplit(address).query)) == {**values, "period": "all"}
    bounded = journal_address(Term("since", "2026-06-01T00:00:00Z"))
    assert dict(parse_qsl(urlsplit(bounded).query)) == {"since": "2026-06-01T00:00:00Z"}
