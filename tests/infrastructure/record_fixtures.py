"""Fixtures of tests of pages about single records; they come beside those of ``infrastructure.browser_fixtures``.

A module that uses them overrides ``served`` by ``record_served``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from api_log import ALL
from infrastructure.browser import Served, Serving
from infrastructure.clickhouse import drop_database, fresh_database
from query.access import Scope
from query_log import Log, open_log
from record_log import fill_records
from sinks.settings import ClickHouseSettings


@pytest.fixture(scope="session")
def record_log(clickhouse_served: ClickHouseSettings) -> Iterator[Log]:
    """A log with one event that has everything, and hostile texts in every field; the same for the whole run."""
    settings = fresh_database(clickhouse_served)
    with open_log(settings) as log:
        fill_records(log)
        yield log
    drop_database(settings)


@pytest.fixture(scope="session")
def record_served(record_log: Log, page_serving: Serving) -> Served:
    """The page over ``record_log``."""
    return page_serving.open(record_log)


@pytest.fixture
def visit(signed_in: Callable[..., Page]) -> Callable[..., Page]:
    """``visit(path, role="auditor", scope=ALL)``: open a page as somebody who is signed in."""

    def open_page(path: str, role: str = "auditor", scope: Scope = ALL) -> Page:
        return signed_in(role, scope, path)

    return open_page
