"""Connections to ClickHouse: the one module that speaks through clickhouse-connect and translates its errors."""

from __future__ import annotations

import io
import ipaddress
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import Empty, LifoQueue
from typing import Any, BinaryIO, cast
from uuid import uuid4

import clickhouse_connect
import pyarrow as pa
import urllib3
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError, ProgrammingError
from clickhouse_connect.driver.httpclient import HttpClient

from sinks.clickhouse_errors import sink_error
from sinks.errors import SinkError, SinkStopped, SinkUnavailable
from sinks.native import encode
from sinks.settings import ClickHouseSettings

#: Settings of every insert. Constant, because a block that is cut in another way on a repetition is another block.
INSERT_SETTINGS: Mapping[str, str | int] = {
    "async_insert": 0,  # on by default since 26.2; it would merge blocks of different tokens
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_insert_block_size": 1_048_449,
    "min_insert_block_size_rows": 1_048_449,
    "min_insert_block_size_bytes": 268_402_944,
    "max_insert_threads": 1,
    "input_format_parallel_parsing": 0,
    "max_partitions_per_insert_block": 0,  # odd dates spread over many partitions; refusing them would block the range
    "input_format_null_as_default": 0,  # a null where none may be is refused instead of silently becoming empty
    "input_format_arrow_allow_missing_columns": 0,
}
READ_SETTINGS: Mapping[str, str | int] = {
    "output_format_arrow_string_as_string": 0,  # raw bytes: columns of dead letters are not always UTF-8
    "output_format_arrow_low_cardinality_as_dictionary": 0,
}
#: Asked of Replicated tables, so that a read-back sees every acknowledged insert whichever replica answers.
QUORUM_SETTINGS: Mapping[str, str | int] = {"insert_quorum": "auto", "insert_quorum_parallel": 0}
SEQUENTIAL_SETTINGS: Mapping[str, str | int] = {"select_sequential_consistency": 1}

Buffer = bytes | memoryview


class Connections:
    """A pool of connections; every statement has one for itself, so that any thread may ask.

    Nothing is sent twice by the library or by this class: a lost answer is the caller's to settle.
    """

    def __init__(self, settings: ClickHouseSettings) -> None:
        self.settings = settings
        self.in_process = settings.interface == "chdb"
        self._idle: LifoQueue[Client] = LifoQueue()
        self._closed = False
        #: Name of the compression of what is sent; to this machine, copying is cheaper than compressing.
        self.compression = None if self.in_process or _is_loopback(settings.host) else "lz4"

    def insert(
        self,
        table: str,
        block: pa.Table,
        token: str,
        *,
        query_id: str,
        types: Mapping[str, str] | None = None,
        extra: Mapping[str, str | int] | None = None,
    ) -> None:
        """Insert one block.

        Args:
            table: Qualified name of the table.
            block: At least one row, in one chunk.
            token: Deduplication token, empty for a table that does not deduplicate.
            query_id: Id by which the statement can be found and ended.
            types: ClickHouse type by column name; the block is sent in Native format, without the columns whose every
                value is the default of their type. Without them it is sent in Arrow format, which costs more.
            extra: Further settings.

        Raises:
            SinkError: As ``sinks.clickhouse_errors`` classes the answer.
        """
        settings: dict[str, str | int] = {
            **INSERT_SETTINGS,
            **(extra or {}),
            "max_execution_time": math.ceil(self.settings.insert_timeout_s),
        }
        if token:
            settings["insert_deduplication_token"] = token
        settings |= {} if self.in_process else {"wait_end_of_query": 1, "query_id": query_id}
        native = encode(block, types) if types else None
        names = native.names if native else block.column_names
        body = _Body(native.buffers() if native else iter((_arrow_stream(block),)), self.compression)
        with self._client(self.settings.insert_timeout_s) as client:
            client.raw_insert(
                table,
                names,
                cast("BinaryIO", body),
                settings=settings,
                fmt="Native" if native else "ArrowStream",
                compression=self.compression,
            )

    def read(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, extra: Mapping[str, str | int] | None = None
    ) -> pa.Table:
        """Run a query and return its rows; text comes as raw bytes.

        Args:
            sql: One SELECT with ``{name:Type}`` parameters.
            parameters: Their values.
            extra: Further settings.

        Raises:
            SinkError: As ``sinks.clickhouse_errors`` classes the answer.
        """
        settings = {**READ_SETTINGS, **(extra or {})} | self._query_id("read")
        with self._client(self.settings.query_timeout_s) as client:
            body = client.raw_query(sql, dict(parameters or {}), settings=settings, fmt="ArrowStream")
        return pa.ipc.open_stream(body).read_all() if body else pa.table({})

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing of interest.

        Raises:
            SinkError: As ``sinks.clickhouse_errors`` classes the answer.
        """
        with self._client(self.settings.query_timeout_s) as client:
            client.command(sql, dict(parameters or {}), settings=self._query_id("command"))

    def rows(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, extra: Mapping[str, str | int] | None = None
    ) -> Sequence[dict[str, Any]]:
        """Run a query and return its rows as dictionaries, text decoded as UTF-8.

        Raises:
            SinkError: As ``sinks.clickhouse_errors`` classes the answer.
        """
        found: list[dict[str, Any]] = self.read(
            sql, parameters, extra={**(extra or {}), "output_format_arrow_string_as_string": 1}
        ).to_pylist()
        return found

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._closed = True
        while (client := self._pop()) is not None:
            client.close()

    def _query_id(self, verb: str) -> dict[str, str | int]:
        return {} if self.in_process else {"query_id": f"auditstream:{verb}:{uuid4()}"}

    @contextmanager
    def _client(self, timeout_s: float) -> Iterator[Client]:
        try:
            client = self._pop() or self._open()
        except ClickHouseError as error:
            raise translate(error) from error
        if isinstance(client, HttpClient):
            client.timeout = urllib3.Timeout(connect=self.settings.connect_timeout_s, read=timeout_s)
        try:
            yield client
        except OperationalError as error:
            # The connection is in an unknown state: a late answer must not be taken for the next statement's.
            client.close()
            raise translate(error) from error
        except ClickHouseError as error:
            self._give_back(client)
            raise translate(error) from error
        except BaseException:
            client.close()
            raise
        self._give_back(client)

    def _pop(self) -> Client | None:
        try:
            return self._idle.get_nowait()
        except Empty:
            return None

    def _give_back(self, client: Client) -> None:
        if self._closed:
            client.close()
        else:
            self._idle.put(client)

    def _open(self) -> Client:
        settings = self.settings
        if self.in_process:
            if settings.path is None:
                raise SinkStopped("interface chdb needs a path for its data (clickhouse.path)")
            return clickhouse_connect.get_client(interface="chdb", path=str(settings.path))
        return clickhouse_connect.get_client(
            interface=settings.interface,
            host=settings.host,
            port=settings.port,
            username=settings.user,
            password=settings.password.get_secret_value(),
            verify=settings.verify,
            ca_cert=str(settings.ca_file) if settings.ca_file else None,
            connect_timeout=math.ceil(settings.connect_timeout_s),
            send_receive_timeout=math.ceil(settings.query_timeout_s),
            query_retries=0,
            autogenerate_session_id=False,
            compress=False,
            dedicated_pool=True,
        )


class _Body:
    """The body of an insert, read buffer by buffer, whatever their size.

    It is a file, as the library sends a body of bytes a second time when the connection is reset; and it can be read
    from its start again, as another attempt to connect must not send the rest of it.

    Args:
        buffers: The bytes.
        compression: Name of a compression, None for none.
    """

    def __init__(self, buffers: Iterator[Buffer], compression: str | None) -> None:
        self._buffers = tuple(buffers) if compression is None else (_compressed(buffers, compression),)
        self._next = 0

    def read(self, _size: int = -1) -> Buffer:
        """Return the next buffer that is not empty, or an empty one at the end."""
        for buffer in self._buffers[self._next :]:
            self._next += 1
            if len(buffer):
                return buffer
        return b""

    def tell(self) -> int:
        """Return how many buffers were read."""
        return self._next

    def seek(self, position: int) -> int:
        """Read on after a number of buffers."""
        self._next = position
        return position


def _compressed(buffers: Iterator[Buffer], compression: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, compression) as stream:
        for buffer in buffers:
            stream.write(buffer)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _arrow_stream(block: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, block.schema) as writer:
        writer.write_table(block)
    return sink.getvalue()


def translate(error: ClickHouseError) -> SinkError:
    """Return what an error of the library means for a batch."""
    code, detail = getattr(error, "code", None) or 0, str(error).strip()
    if code == 0 and isinstance(error, ProgrammingError):
        return SinkStopped(detail)
    if code == 0 and not isinstance(error, OperationalError):
        return SinkUnavailable("network", f"an answer without an error code: {detail}")
    return sink_error(int(code), detail)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
