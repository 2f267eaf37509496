"""What tests share: real servers, fresh names, controlled processes, and a clean environment."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest

from infrastructure import clickhouse, kafka, registry
from infrastructure.processes import Processes, logs_of_started
from infrastructure.requirements import Unavailable, missing
from infrastructure.server import Server
from sinks.settings import ClickHouseSettings

_TEST_SWITCHES = ("AUDITSTREAM_REQUIRE", "AUDITSTREAM_TEST_")

_S = TypeVar("_S", bound=Server)


def pytest_configure(config: pytest.Config) -> None:
    """Take the settings of whoever runs the tests out of the environment, and end in order on SIGTERM too."""
    del config
    for name in list(os.environ):
        if name.startswith("AUDITSTREAM_") and not name.startswith(_TEST_SWITCHES):
            del os.environ[name]
    signal.signal(signal.SIGTERM, _interrupt)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in the browser last: Playwright keeps an event loop running in this thread until the end."""
    items.sort(key=lambda item: item.path.parent.name == "browser")


def _interrupt(number: int, frame: object) -> None:
    del frame
    # As on Ctrl-C: pytest runs the ends of all fixtures, and these stop their processes.
    raise KeyboardInterrupt(f"signal {number}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the log of every running server and process when a test fails."""
    del item
    report = yield
    if report.failed:
        report.sections += [(f"log of {name}", text) for name, text in logs_of_started()]
    return report


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real Kafka, the same for the whole run; use ``topics`` for names of your own."""
    given = kafka.given_address()
    if given:
        yield given
        return
    try:
        broker = kafka.open_broker(tmp_path_factory.mktemp("kafka"))
    except Unavailable as error:
        missing("kafka", f"{kafka.ADDRESS_VARIABLE} is not set; {error}")
    with _running(broker):
        yield broker.bootstrap


@pytest.fixture(scope="session")
def schema_registry_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real schema registry with the Confluent API, the same for the whole run."""
    given = registry.given_address()
    if given:
        yield given
        return
    try:
        server = registry.open_registry_server(tmp_path_factory.mktemp("registry"))
    except Unavailable as error:
        missing("registry", f"{registry.ADDRESS_VARIABLE} is not set; {error}")
    with _running(server):
        yield server.url


@pytest.fixture(scope="session")
def clickhouse_served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseSettings]:
    """How to reach a real ClickHouse over HTTP, the same for the whole run, with the database ``default``."""
    given = clickhouse.given_settings()
    if given:
        yield given
        return
    database = clickhouse.open_database(tmp_path_factory.mktemp("clickhouse"))
    with _running(database):
        yield database.settings


@pytest.fixture
def clickhouse_settings(clickhouse_served: ClickHouseSettings) -> Iterator[ClickHouseSettings]:
    """The same ClickHouse with a database name of this test; it is not created yet and dropped at the end."""
    settings = clickhouse.fresh_database(clickhouse_served)
    yield settings
    clickhouse.drop_database(settings)


@pytest.fixture(scope="session")
def chdb_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data directory of the engine inside the test process; one for the whole run, since a process can have only one."""
    return tmp_path_factory.mktemp("chdb")


@pytest.fixture
def chdb_settings(chdb_path: Path) -> ClickHouseSettings:
    """The engine inside the test process with a database name of this test; it is not created yet."""
    return clickhouse.fresh_database(ClickHouseSettings(interface="chdb", path=chdb_path))


@pytest.fixture
def topics(kafka_bootstrap: str) -> Iterator[kafka.Topics]:
    """Makes topics of fresh names; they are deleted at the end of the test."""
    made = kafka.Topics(kafka_bootstrap)
    yield made
    made.close()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts processes in ``tmp_path``; they are stopped at the end of the test and a failure shows their logs."""
    started = Processes(tmp_path)
    yield started
    started.close()


@pytest.fixture
def controlled_broker(tmp_path: Path) -> Iterator[kafka.Broker]:
    """A running Kafka of this test's own, to stop, kill, freeze and start again with its data."""
    yield from _own("kafka", lambda: kafka.open_broker(_made(tmp_path / "kafka")))


@pytest.fixture
def controlled_registry(tmp_path: Path) -> Iterator[registry.Registry]:
    """A running schema registry of this test's own, to stop, kill and freeze; a restart empties it."""
    yield from _own("registry", lambda: registry.open_registry_server(_made(tmp_path / "registry")))


@pytest.fixture
def controlled_database(tmp_path: Path) -> Iterator[clickhouse.Database]:
    """A running ClickHouse of this test's own, to stop, kill, freeze and start again with its data."""
    yield from _own("clickhouse", lambda: clickhouse.open_database(_made(tmp_path / "clickhouse")))


def _own(name: str, opened: Callable[[], _S]) -> Iterator[_S]:
    try:
        server = opened()
    except Unavailable as error:
        missing(name, error)
    with _running(server):
        yield server


def _running(server: Server) -> ExitStack:
    with ExitStack() as stack:
        stack.callback(server.close)
        server.start()
        return stack.pop_all()


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
