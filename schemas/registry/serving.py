"""A registry of this process served to others over Confluent's REST API: for the demo and for tests, not for production."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from schemas.errors import SchemaIncompatible, SchemaInvalid, SchemaNotFound
from schemas.registry.memory import MemoryRegistry
from schemas.registry.promise import Compatibility, RegisteredSchema, Schema, canonical

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
#: HTTP status and error code of each refusal; source: Confluent documentation, "Schema Registry API Reference".
_SUBJECT_OR_SCHEMA_NOT_FOUND, _INCOMPATIBLE, _INVALID = (404, 40403), (409, 409), (422, 42201)

Json = Any
_Answer = Callable[[MemoryRegistry, Mapping[str, str], Json], Json]


def _schema(body: Json) -> Schema:
    try:
        schema: Schema = json.loads(body["schema"])
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaInvalid("request", f"expected an object with the schema as text under 'schema': {error}") from error
    return schema


def _version(found: RegisteredSchema) -> Json:
    return {
        "subject": found.subject,
        "version": found.version,
        "id": found.schema_id,
        "schema": canonical(found.schema),
    }


def _latest(registry: MemoryRegistry, at: Mapping[str, str], body: Json) -> Json:
    del body
    return _version(registry.latest(at["subject"]))


def _lookup(registry: MemoryRegistry, at: Mapping[str, str], body: Json) -> Json:
    schema = _schema(body)
    return {"subject": at["subject"], "id": registry.id_of(at["subject"], schema), "schema": canonical(schema)}


def _compatible(registry: MemoryRegistry, at: Mapping[str, str], body: Json) -> Json:
    problems = registry.check_compatibility(at["subject"], _schema(body))
    return {"is_compatible": not problems, "messages": problems}


def _configure(registry: MemoryRegistry, at: Mapping[str, str], body: Json) -> Json:
    registry.set_compatibility(at["subject"], cast("Compatibility", body["compatibility"]))
    return body


_ROUTES: tuple[tuple[str, re.Pattern[str], _Answer], ...] = tuple(
    (method, re.compile(path.replace("{", "(?P<").replace("}", ">[^/]+)")), answer)
    for method, path, answer in (
        ("GET", "/", lambda *_: {}),
        ("GET", "/subjects", lambda r, *_: r.subjects()),
        ("POST", "/subjects/{subject}/versions", lambda r, at, body: {"id": r.register(at["subject"], _schema(body))}),
        ("GET", "/subjects/{subject}/versions", lambda r, at, _: r.versions(at["subject"])),
        ("GET", "/subjects/{subject}/versions/latest", _latest),
        ("POST", "/subjects/{subject}", _lookup),
        ("GET", "/schemas/ids/{id}", lambda r, at, _: {"schema": canonical(r.schema(int(at["id"])))}),
        ("POST", "/compatibility/subjects/{subject}/versions(?:/latest)?", _compatible),
        ("PUT", "/config/{subject}", _configure),
        ("GET", "/config/{subject}", lambda r, at, _: {"compatibilityLevel": r.compatibility(at["subject"])}),
    )
)


class RegistryServer:
    """Serves a registry on the loopback interface until closed.

    Attributes:
        url: Address for ``registry.url`` of other processes.
    """

    def __init__(self, registry: MemoryRegistry, port: int = 0) -> None:
        """Start serving.

        Args:
            registry: Whose schemas; not closed by this server.
            port: Port on 127.0.0.1, 0 for a free one.

        Raises:
            OSError: The port is in use.
        """
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(registry))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="registry", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(registry: MemoryRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name given by the base class
            """Say nothing: the demo shows its own summary."""

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            status, body = _respond(registry, self.command, urlsplit(self.path).path, self.rfile.read(length))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", _MEDIA_TYPE)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - names given by the base class

    return Handler


def _respond(registry: MemoryRegistry, method: str, path: str, data: bytes) -> tuple[int, Json]:
    try:
        body = json.loads(data) if data else None
        for wanted, pattern, answer in _ROUTES:
            if wanted == method and (found := pattern.fullmatch(path)):
                at = {name: unquote(value) for name, value in found.groupdict().items()}
                return 200, answer(registry, at, body)
    except SchemaNotFound as error:
        return _refusal(_SUBJECT_OR_SCHEMA_NOT_FOUND, error)
    except SchemaIncompatible as error:
        return _refusal(_INCOMPATIBLE, error)
    except (SchemaInvalid, ValueError, KeyError, TypeError) as error:
        return _refusal(_INVALID, error)
    return 404, {"error_code": 404, "message": f"no such resource: {method} {path}"}


def _refusal(code: tuple[int, int], error: Exception) -> tuple[int, Json]:
    return code[0], {"error_code": code[1], "message": str(error)}
