"""An export as it stands: what was asked, its state, its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from query.exports.request import ExportRequest, Requester, format_of

State: TypeAlias = Literal["pending", "ready", "error", "expired"]
#: What happens to an export, each but ``taken`` an audit event ``export.<name>``.
Happening: TypeAlias = Literal["request", "taken", "ready", "error", "delete", "expired", "download"]

#: The states in the order in which an export passes through them, by what brings it there.
STATES: Mapping[Happening, State] = {
    "request": "pending",
    "error": "error",
    "ready": "ready",
    "delete": "expired",
    "expired": "expired",
}
#: Order of what happened at the same moment.
RANKS: Mapping[Happening, int] = {
    "request": 0,
    "taken": 1,
    "error": 2,
    "ready": 3,
    "download": 4,
    "delete": 5,
    "expired": 6,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to an export.

    Attributes:
        what: What happened.
        at: When.
        by: Who did it; None when nobody did.
        data: ``manifest`` and ``expires_at`` of a ready export, ``problem`` of a failed one, ``cancelled`` when it was
            given up on purpose, ``keeper`` of the process that makes it.
    """

    what: Happening
    at: datetime
    by: Requester | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """An export and all that happened to it.

    Attributes:
        id: Its id, a UUID.
        request: What was asked.
        entries: What happened, in order of time and of ``RANKS``.
    """

    id: str
    request: ExportRequest
    entries: Sequence[Entry]

    @property
    def created_at(self) -> datetime:
        """When it was asked for."""
        return min(e.at for e in self.entries)

    @property
    def state(self) -> State:
        """The state that its record has; see ``state_at`` for a file whose time is over."""
        # Not the last one in time: several machines may write, and their clocks differ.
        if self.cancelled:
            return "error"
        happened = {e.what for e in self.entries}
        return [state for what, state in STATES.items() if what in happened][-1]

    def state_at(self, now: datetime) -> State:
        """Return the state at a moment: a ready export expires by the clock, also when nobody looked."""
        over = self.state == "ready" and self.expires_at is not None and now >= self.expires_at
        return "expired" if over else self.state

    @property
    def cancelled(self) -> bool:
        """Whether somebody gave it up before it was finished; that is final."""
        return any(e.what == "error" and e.data.get("cancelled") for e in self.entries)

    @property
    def deleted(self) -> bool:
        """Whether somebody removed its file before its time."""
        return self._last("delete") is not None

    @property
    def keeper(self) -> str:
        """The process that makes it, empty when none said so."""
        found = self._last("taken")
        return str(found.data["keeper"]) if found else ""

    @property
    def expires_at(self) -> datetime | None:
        """When its file is removed; None when it never had one."""
        found = self._last("ready")
        return datetime.fromisoformat(found.data["expires_at"]) if found else None

    @property
    def manifest(self) -> Mapping[str, Any] | None:
        """The manifest of its file, kept when the file has expired; None when it never had one."""
        found = self._last("ready")
        return found.data["manifest"] if found else None

    @property
    def problem(self) -> str:
        """Why it failed; empty when it did not."""
        found = self._last("error")
        return str(found.data["problem"]) if found else ""

    @property
    def downloads(self) -> int:
        """How often it was downloaded."""
        return sum(e.what == "download" for e in self.entries)

    @property
    def file_name(self) -> str:
        """Name of the file for whoever downloads it: when it was asked for and which export it is."""
        stamp = self.created_at.strftime("%Y%m%dT%H%M%SZ")
        return f"auditstream-{stamp}-{self.id[:8]}.{format_of(self.request.format)}"

    def _last(self, what: Happening) -> Entry | None:
        return next((e for e in reversed(self.entries) if e.what == what), None)
