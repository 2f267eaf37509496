"""Requests of ClickHouse's HTTP interface: bodies of every encoding, parameters, settings."""

from __future__ import annotations

import io
import urllib.parse
import uuid
from collections.abc import Mapping
from email.message import Message
from email.parser import BytesParser
from io import BufferedIOBase

import pyarrow as pa

from sinks.served_engine import EngineError, Statement

#: Parameters of the interface itself; all others are settings of the statement. Source: ClickHouse HTTPHandler.cpp.
RESERVED = frozenset(
    [
        "query",
        "database",
        "session_id",
        "session_timeout",
        "session_check",
        "query_id",
        "user",
        "password",
        "quota_key",
        "compress",
        "decompress",
        "buffer_size",
        "wait_end_of_query",
        "client_protocol_version",
        "role",
        "default_format",
        "enable_http_compression",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
    ]
)
#: Content-Encoding -> what Arrow, which reads them all, calls it.
CODECS: Mapping[str, str] = {"lz4": "lz4", "zstd": "zstd", "gzip": "gzip", "br": "brotli"}


def read_body(headers: Message, stream: BufferedIOBase) -> bytes:
    """Return the whole body of a request.

    Raises:
        ConnectionError: The body was cut short, so nothing may be run.
    """
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        return _read_chunks(stream)
    return _read_exactly(stream, int(headers.get("Content-Length") or 0))


def _read_chunks(stream: BufferedIOBase) -> bytes:
    parts = []
    while True:
        line = stream.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the body was cut short")
        size = int(line.split(b";")[0], 16)
        parts.append(_read_exactly(stream, size))
        if not stream.readline().endswith(b"\n"):
            raise ConnectionError("the body was cut short")
        if size == 0:
            return b"".join(parts)


def _read_exactly(stream: BufferedIOBase, size: int) -> bytes:
    body = stream.read(size)
    if len(body) < size:
        raise ConnectionError("the body was cut short")
    return body


def statement_of(query: str, headers: Message, body: bytes) -> tuple[Statement, str]:
    """Return the statement of a request and the name of its session, empty without one.

    Args:
        query: Query part of the address.
        headers: Headers of the request.
        body: Its body as received.

    Raises:
        EngineError: The request asks for what is not supported, or cannot be read.
    """
    fields = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    if headers.get_content_type() == "multipart/form-data":
        fields |= _form(headers, body)
        body = b""
    body = _decoded(headers.get("Content-Encoding", "identity"), body)
    if fields.get("decompress", "0") != "0" or fields.get("compress", "0") != "0":
        raise EngineError(
            48, "Code: 48. DB::Exception: ClickHouse's own block compression is not served here. (NOT_IMPLEMENTED)"
        )
    sql = fields["query"].encode() + b"\n" + body if fields.get("query") else body
    statement = Statement(
        sql=sql,
        query_id=fields.get("query_id") or str(uuid.uuid4()),
        settings={k: v for k, v in fields.items() if k not in RESERVED and not k.startswith("param_")},
        parameters={k.removeprefix("param_"): v for k, v in fields.items() if k.startswith("param_")},
        database=fields.get("database") or str(headers.get("X-ClickHouse-Database", "")),
        format=fields.get("default_format") or headers.get("X-ClickHouse-Format") or "TabSeparated",
    )
    return statement, fields.get("session_id", "")


def _decoded(encoding: str, body: bytes) -> bytes:
    if encoding in {"identity", ""}:
        return body
    if encoding not in CODECS:
        raise EngineError(
            48, f"Code: 48. DB::Exception: Content-Encoding {encoding} is not served here. (NOT_IMPLEMENTED)"
        )
    try:
        plain: bytes = pa.input_stream(io.BytesIO(body), compression=CODECS[encoding]).read()
    except (OSError, pa.ArrowException) as error:
        raise EngineError(
            354, f"Code: 354. DB::Exception: the body is not {encoding}: {error}. (INFLATE_FAILED)"
        ) from error
    return plain


def _form(headers: Message, body: bytes) -> Mapping[str, str]:
    message = BytesParser().parsebytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in message.get_payload():
        if not isinstance(part, Message) or part.get_filename():
            raise EngineError(48, "Code: 48. DB::Exception: external tables are not served here. (NOT_IMPLEMENTED)")
        content = part.get_payload(decode=True)
        name = str(part.get_param("name", header="content-disposition"))
        fields[name] = content.decode() if isinstance(content, bytes) else ""
    return fields
