"""ClickHouse's HTTP interface over the engine in this process, so that several local processes share one database.

``python -m sinks.served DATA_DIR PORT [--ready-file FILE] [--faults]``. It is the embedded mode for several processes
and equipment for tests: there are no users, no rights, no limits and no replication. It listens on 127.0.0.1 only and
is never a production server.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sinks.served_engine import Engine, EngineClosing, EngineError, Result
from sinks.served_faults import Fault, Faults
from sinks.served_request import read_body, statement_of

LOOPBACK = "127.0.0.1"
#: HTTP status by error code where ClickHouse does not answer 500. Source: ClickHouse exceptionCodeToHTTPStatus.cpp.
STATUS: Mapping[int, int] = {
    **dict.fromkeys((46, 47, 50, 56, 60, 81, 115), 404),
    **dict.fromkeys((6, 26, 27, 33, 36, 38, 41, 43, 53, 62, 69, 70, 72, 73, 117, 131, 321, 354, 456, 457), 400),
    48: 501,
    159: 408,
    202: 503,
    516: 401,
}
NOTICE = "This is ClickHouse's engine served to local processes, for demos and tests: never a production server."


class Server(ThreadingHTTPServer):
    """Listens on 127.0.0.1 and runs every request on a thread of its own."""

    daemon_threads = True  # idle connections must not hold up the end; statements are ended by the engine
    request_queue_size = 256

    def __init__(self, engine: Engine, port: int, faults: Faults | None) -> None:
        super().__init__((LOOPBACK, port), Handler)
        self.engine, self.faults = engine, faults

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name given by the base class
        """Write nothing: statements may hold personal data."""

    def do_GET(self) -> None:
        """Answer a request without body."""
        self._handle()

    def do_HEAD(self) -> None:
        """Answer a request with headers only."""
        self._handle()

    def do_POST(self) -> None:
        """Answer a request with body."""
        self._handle()

    def do_DELETE(self) -> None:
        """Forget the faults ordered."""
        self._handle()

    def _handle(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        try:
            body = read_body(self.headers, self.rfile)
        except (OSError, ValueError):
            self.close_connection = True  # nothing was run
            return
        match url.path:
            case "/ping" | "/replicas_status":
                self._answer(200, b"Ok.\n")
            case "/faults" if self.server.faults is not None:
                self._order_fault(self.server.faults, body)
            case "/":
                self._statement(url.query, body)
            case _:
                self._answer(404, b"There is no such path.\n")

    def _order_fault(self, faults: Faults, body: bytes) -> None:
        try:
            if self.command == "POST":
                faults.order(Fault(**json.loads(body)))
            elif self.command == "DELETE":
                faults.clear()
        except (TypeError, ValueError) as error:
            self._answer(400, f"{error}\n".encode())
            return
        self._answer(200, json.dumps(faults.describe()).encode())

    def _statement(self, query: str, body: bytes) -> None:
        started = time.monotonic()
        try:
            statement, session = statement_of(query, self.headers, body)
            with self.server.engine.accepted(statement.query_id) as running:
                fault = self.server.faults.next() if self.server.faults and statement.is_insert else None
                if fault and self._before(fault):
                    return
                result = self.server.engine.run(statement, running, session)
            if fault and self._after(fault):
                return
        except EngineClosing:
            self.close_connection = True  # as of a server that has ended
            return
        except EngineError as error:
            self._refuse(error)
            return
        self._answer(200, result.body, self._headers(statement.query_id, statement.is_insert, result, started))

    def _before(self, fault: Fault) -> bool:
        """Let a fault happen before the statement runs; return whether the connection shall end without an answer."""
        if fault.action == "delay_request":
            time.sleep(fault.seconds)
        if fault.action == "refuse":
            raise EngineError(
                fault.code, f"Code: {fault.code}. DB::Exception: refused because a test ordered it. (INJECTED)"
            )
        if fault.action == "drop_request":
            self.close_connection = True
        return fault.action == "drop_request"

    def _after(self, fault: Fault) -> bool:
        if fault.action == "delay_answer":
            time.sleep(fault.seconds)
        if fault.action == "drop_answer":
            self.close_connection = True
        return fault.action == "drop_answer"

    def _headers(self, query_id: str, insert: bool, result: Result, started: float) -> Mapping[str, str]:
        verb = "written" if insert else "read"
        elapsed_ns = int((time.monotonic() - started) * 1e9)
        summary = {f"{verb}_rows": str(result.rows), f"{verb}_bytes": str(result.bytes), "elapsed_ns": str(elapsed_ns)}
        headers = {"X-ClickHouse-Query-Id": query_id, "X-ClickHouse-Summary": json.dumps(summary)}
        return {**headers, "X-ClickHouse-Format": result.format} if result.format else headers

    def _refuse(self, error: EngineError) -> None:
        text = f"{error.text.rstrip()} (version {self.server.engine.version} (official build))\n"
        self._answer(
            STATUS.get(error.code, 500), text.encode(errors="replace"), {"X-ClickHouse-Exception-Code": str(error.code)}
        )

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("X-ClickHouse-Server-Display-Name", "auditstream")
        self.send_header("X-ClickHouse-Timezone", self.server.engine.timezone)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def serve(directory: Path, port: int, *, ready_file: Path | None, faults: bool) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        directory: Data directory, created when it does not exist.
        port: Port on 127.0.0.1, 0 for a free one.
        ready_file: Where the address is written as JSON once requests are answered.
        faults: Whether faults can be ordered at ``/faults``.
    """
    engine = Engine(directory)
    server = Server(engine, port, Faults() if faults else None)
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the loop, which runs on this very thread
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    _announce(server, ready_file)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    engine.close()


def _announce(server: Server, ready_file: Path | None) -> None:
    sys.stdout.write(f"{NOTICE}\nready on http://{LOOPBACK}:{server.port} (version {server.engine.version})\n")
    sys.stdout.flush()
    if ready_file:
        part = ready_file.with_name(ready_file.name + ".part")
        part.write_text(json.dumps({"host": LOOPBACK, "port": server.port, "pid": os.getpid()}), encoding="utf-8")
        part.replace(ready_file)  # readers see it whole or not at all


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the engine as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m sinks.served", description=NOTICE)
    parser.add_argument("data_dir", type=Path, help="directory of the data")
    parser.add_argument(
        "port", type=int, nargs="?", default=8123, help="port on 127.0.0.1, 0 for a free one (default 8123)"
    )
    parser.add_argument("--port", dest="port_option", type=int, help="the same as an option")
    parser.add_argument("--ready-file", type=Path, help="file that gets the address as JSON once requests are answered")
    parser.add_argument("--faults", action="store_true", help="let tests order faults at /faults")
    options = parser.parse_args(arguments)
    port = options.port if options.port_option is None else options.port_option
    serve(options.data_dir, port, ready_file=options.ready_file, faults=options.faults)


if __name__ == "__main__":
    main()
