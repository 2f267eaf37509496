"""A running demo, as tests visit it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

AUDITSTREAM = Path(sys.executable).with_name("auditstream")
_ANSWER_S = 60.0


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo, as its ready file describes it.

    Attributes:
        ready: Content of the ready file.
        ready_file: The file.
        cache: Directory in which commands cache schemas.
    """

    ready: dict[str, Any]
    ready_file: Path
    cache: Path

    @property
    def url(self) -> str:
        """Address of the server."""
        return str(self.ready["url"])

    def headers(self, role: str = "administrator", **more: str) -> dict[str, str]:
        """Return the headers of a request with the token of a role."""
        return {"Authorization": f"Bearer {self.ready['tokens'][role]}", **more}

    def get(self, path: str, role: str = "administrator", **parameters: Any) -> httpx.Response:
        """Ask the API."""
        url = f"{self.ready['api']}{path}"
        return httpx.get(url, params=parameters, headers=self.headers(role), timeout=_ANSWER_S)

    def rows(self, role: str = "administrator", path: str = "/events", **parameters: Any) -> list[dict[str, Any]]:
        """Return the rows of an answer of the API."""
        answer = self.get(path, role, **parameters)
        assert answer.status_code == httpx.codes.OK, answer.text
        rows: list[dict[str, Any]] = answer.json()["data"]
        return rows

    def page(self, role: str = "administrator") -> httpx.Client:
        """Return a visitor of the page who is signed in with the token of a role; closed by the caller."""
        client = httpx.Client(base_url=self.url, timeout=_ANSWER_S, follow_redirects=True)
        key = client.get("/sign-in").text.partition('name="csrf" value="')[2].partition('"')[0]
        answer = client.post("/sign-in/token", data={"csrf": key, "token": self.ready["tokens"][role]})
        assert answer.status_code == httpx.codes.OK, answer.text
        return client

    def command(self, *arguments: str, standard_input: str = "") -> str:
        """Run a command as from another terminal and return what it printed."""
        cache = {"AUDITSTREAM_REGISTRY_CACHE_DIR": str(self.cache)}
        done = subprocess.run(
            [AUDITSTREAM, *arguments],
            env={**os.environ, **self.ready["environment"], **cache},
            input=standard_input,
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
