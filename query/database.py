"""The database as reads see it: one connection, limits on every statement, its errors in our words."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from query.errors import DatabaseNotReady, DatabaseUnreachable, QueryError, QueryFailed, QueryTooExpensive
from query.parameters import Parameters
from sinks.settings import ClickHouseSettings

MIB = 1 << 20
_T = TypeVar("_T")

# Codes of ClickHouse's ErrorCodes.cpp.
_MISSING = frozenset({16, 47, 60, 81, 115})  # column, identifier, table, database, setting not known
_TOO_MUCH = {
    158: "rows",  # TOO_MANY_ROWS
    159: "time",  # TIMEOUT_EXCEEDED
    160: "time",  # TOO_SLOW
    241: "memory",  # MEMORY_LIMIT_EXCEEDED
    307: "bytes",  # TOO_MANY_BYTES
    396: "rows of the result",  # TOO_MANY_ROWS_OR_BYTES
}
_BUSY = frozenset({202, 209, 210, 279, 999})  # too many queries, socket time-out, network, connections, Keeper
_DENIED = frozenset({192, 193, 194, 497, 516})  # unknown user, wrong or missing password, access denied


#: Ids are read as text, which is what becomes of them anyway.
_FORMATS = {"UUID": "string"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may use.

    Attributes:
        seconds: Run time.
        memory_bytes: Memory on the server.
        rows: Rows read; 0 for no limit.
    """

    seconds: float = 30.0
    memory_bytes: int = 2048 * MIB
    rows: int = 0

    def settings(self) -> dict[str, Any]:
        """Return the limits as ClickHouse settings, with writing switched off."""
        return {
            # 2 and not 1: the limits themselves are settings of the same statement.
            "readonly": 2,
            "max_execution_time": max(1, math.ceil(self.seconds)),
            "max_memory_usage": self.memory_bytes,
            "max_rows_to_read": self.rows,
        }


class Database:
    """Runs statements with their values bound by the server. Not for several threads at once."""

    def __init__(self, client: Client, limits: Limits) -> None:
        """Use an open client.

        Args:
            client: A client whose default database holds our tables; closing it stays with ``close``.
            limits: What each statement may use.
        """
        self._client = client
        self._limits = limits

    def rows(
        self,
        statement: str,
        parameters: Parameters,
        *,
        hint: str = "ask for less",
        settings: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Run a SELECT and return its rows, column to value; moments carry their zone.

        Args:
            statement: Text with placeholders.
            parameters: Their values.
            hint: What to do when it is too expensive.
            settings: Further settings of this statement.

        Raises:
            QueryTooExpensive: It passed a limit.
            DatabaseNotReady: A table or column is missing.
            DatabaseUnreachable: No answer.
            QueryFailed: Refused in another way.
        """
        asked = self._limits.settings() | dict(settings or {})

        def run() -> list[dict[str, Any]]:
            # Bound only when there is something to bind: the client treats an empty mapping as another kind of query.
            values = parameters.values or None
            result = self._client.query(
                statement, parameters=values, settings=asked, tz_mode="aware", query_formats=_FORMATS
            )
            return list(result.named_results())

        return _translated(run, hint)

    def close(self) -> None:
        """Close the connection. Idempotent."""
        self._client.close()


def open_client(settings: ClickHouseSettings) -> Client:
    """Connect to the database of the settings.

    Raises:
        DatabaseUnreachable: No answer, or the data directory is in use by another process.
        DatabaseNotReady: The database or its directory does not exist.
        QueryFailed: Refused, for example user or password.
    """
    # The client logs what it also raises; we raise only.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    return _translated(lambda: _embedded(settings) if settings.interface == "chdb" else _remote(settings), "")


def _embedded(settings: ClickHouseSettings) -> Client:
    # The engine would create the directory, and a read must not.
    if settings.path is None or not settings.path.is_dir():
        raise DatabaseNotReady(f"there is no data directory {settings.path}; run `auditstream migrate` first")
    return clickhouse_connect.get_client(interface="chdb", path=str(settings.path), database=settings.database)


def _remote(settings: ClickHouseSettings) -> Client:
    return clickhouse_connect.get_client(
        interface=settings.interface,
        host=settings.host,
        port=settings.port,
        username=settings.user,
        password=settings.password.get_secret_value(),
        database=settings.database,
        connect_timeout=settings.connect_timeout_s,
        # A little more than the server's own limit, so that the server is the one who explains.
        send_receive_timeout=settings.query_timeout_s + 5,
        ca_cert=str(settings.ca_file) if settings.ca_file else None,
        verify=settings.verify,
        autogenerate_session_id=False,
    )


def _translated(run: Callable[[], _T], hint: str) -> _T:
    try:
        return run()
    except ClickHouseError as error:
        raise _error(error, hint) from error
    except (OSError, RuntimeError) as error:
        raise DatabaseUnreachable(f"the database gives no answer: {error}") from error


def _error(error: ClickHouseError, hint: str) -> QueryError:
    code = (error.code if isinstance(error, Error) else None) or 0
    text = str(error).partition("Stack trace:")[0].strip()
    if code in _TOO_MUCH:
        return QueryTooExpensive(_TOO_MUCH[code], hint)
    if code in _MISSING:
        return DatabaseNotReady(f"a table or column is missing; run `auditstream migrate` ({_first_line(text)})")
    if code in _DENIED:
        return QueryFailed(f"user or password or rights: {_first_line(text)}", code=code)
    if code in _BUSY or code == 0:
        return DatabaseUnreachable(f"the database gives no answer: {_first_line(text)}")
    return QueryFailed(_first_line(text), code=code)


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0][:500]
