"""ClickHouse's engine inside a process that serves it: statements with their settings, their ids and their end."""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import chdb

_LEAD = r"(?is)^(?:\s+|--[^\n]*\n|/\*.*?\*/)*"
#: An insert whose data follow in a format. ``VALUES`` and ``SELECT`` carry theirs in the statement.
_INSERT = re.compile(
    (_LEAD + r"(INSERT\s+INTO\b(?:(?!\bSELECT\b|\bVALUES\b).)*?)\s+FORMAT\s+(\w+)[ \t]*(?:\r?\n|;|$)").encode()
)
_SETTINGS = re.compile(r"(?i)\bSETTINGS\b")
_RESULT = re.compile(_LEAD + r"[(\s]*(SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN|CHECK|KILL)\b")
_FORMAT = re.compile(r"(?is)\bFORMAT\s+(\w+)(?:\s+SETTINGS\b.*)?[\s;]*$")
_KILL = re.compile(
    _LEAD
    + r"KILL\s+QUERY\b(?:(?!\bWHERE\b).)*\bWHERE\b(?P<where>.*?)(?:\s(?P<mode>SYNC|ASYNC|TEST))?(?:\s+FORMAT\s+\w+)?[\s;]*$"
)
#: The engine gives ids of its own to statements; ours travel in log_comment, and these show them in the usual place.
_PROCESSES = "(SELECT * REPLACE (if(Settings['log_comment'] != '', Settings['log_comment'], query_id) AS query_id) FROM system.processes)"
_CODE = re.compile(r"(?s)Code: (\d+)\..*")


#: Seconds after which a session that nobody uses is closed.
SESSION_IDLE_S = 120.0


class EngineError(Exception):
    """The engine refused a statement.

    Attributes:
        code: ClickHouse error code.
        text: What it said, with the code in front.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class EngineClosing(Exception):
    """The engine is ending and takes no statement any more."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as it arrives.

    Attributes:
        sql: The statement and, for an insert with a format, its data.
        query_id: Its id.
        settings: Settings for it alone.
        parameters: Values of its ``{name:Type}`` parameters, escaped as ClickHouse's HTTP interface has them.
        database: Current database, empty for the session's.
        format: Format of the result unless the statement names one.
    """

    sql: bytes
    query_id: str
    settings: Mapping[str, str]
    parameters: Mapping[str, str]
    database: str
    format: str

    @property
    def is_insert(self) -> bool:
        """Whether data in a format follow the statement."""
        return _INSERT.match(self.sql) is not None


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement returned.

    Attributes:
        body: Rows in ``format``.
        format: Name of the format, empty for statements without rows.
        rows: Rows read or written.
        bytes: Bytes read or written.
    """

    body: bytes
    format: str
    rows: int
    bytes: int


@dataclass(slots=True, eq=False)
class _Running:
    """A statement that was accepted and has not ended."""

    query_id: str
    cancelled: bool = False
    ended: threading.Event = field(default_factory=threading.Event)


class Handle:
    """One connection to the engine, with the settings and the database of a session."""

    def __init__(self, path: str) -> None:
        self._connection = chdb.connect(path)
        self._settings: dict[str, str | None] = {}
        self._database = ""
        self.lock = threading.Lock()
        self.used_at = time.monotonic()

    def prepare(self, settings: Mapping[str, str], database: str) -> None:
        """Apply the settings of one statement and take back those of the one before."""
        self.used_at = time.monotonic()
        changes = [f"{name} = {quoted(value)}" for name, value in settings.items() if self._settings.get(name) != value]
        changes += [f"{name} = DEFAULT" for name in self._settings if name not in settings]
        if changes:
            # Should SET fail half-way, the unknown values are set anew or taken back by the next statement.
            self._settings |= dict.fromkeys(settings)
            self.query("SET " + ", ".join(changes))
            self._settings = dict(settings)
        if database and database != self._database:
            self.query(f"USE `{database.replace('`', '')}`")
            self._database = database

    def query(self, sql: str, format_: str = "TabSeparated", parameters: Mapping[str, str] | None = None) -> Result:
        """Run one statement.

        Raises:
            EngineError: The engine refuses it.
        """
        try:
            found = self._connection.query(sql, format_, params=dict(parameters or {}))
        except Exception as error:
            raise engine_error(error) from error
        return Result(found.bytes() or b"", "", found.rows_read(), found.bytes_read())

    def close(self) -> None:
        """Close it."""
        self._connection.close()


class Engine:
    """The engine over one data directory; statements run in parallel, each on a handle of its own or of its session.

    Args:
        path: Data directory, created when it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path.resolve())
        self._root = Handle(self._path)
        self._spool = tempfile.TemporaryDirectory(prefix="auditstream-served-")
        self._sessions: dict[str, Handle] = {}
        self._running: set[_Running] = set()
        self._closing = False
        self._lock = threading.Lock()
        about = self._root.query("SELECT version(), timezone()").body.decode().split()
        self.version, self.timezone = about

    @contextmanager
    def accepted(self, query_id: str) -> Iterator[_Running]:
        """Know a statement as running from its arrival to its end, so that KILL QUERY finds it before it starts too.

        Raises:
            EngineClosing: Too late: nothing was run.
        """
        running = _Running(query_id)
        with self._lock:
            if self._closing:
                raise EngineClosing
            self._running.add(running)
        try:
            yield running
        finally:
            with self._lock:
                self._running.discard(running)
            running.ended.set()

    def run(self, statement: Statement, running: _Running, session: str = "") -> Result:
        """Run a statement.

        Raises:
            EngineError: The engine refuses it, it was cancelled, or its session is busy.
        """
        if running.cancelled:
            raise EngineError(394, "Code: 394. DB::Exception: Query was cancelled. (QUERY_WAS_CANCELLED)")
        with self._handle(session) as handle:
            handle.prepare({**statement.settings, "log_comment": statement.query_id}, statement.database)
            insert = _INSERT.match(statement.sql)
            if insert and statement.sql[insert.end() :].strip():
                return self._insert(handle, insert, memoryview(statement.sql)[insert.end() :])
            text = statement.sql.decode(errors="surrogateescape")
            if kill := _KILL.match(text):
                return self._kill(handle, kill, running, statement)
            return _select(handle, text, statement)

    def close(self) -> None:
        """Cancel what runs, merges too, wait for its end and close the engine."""
        with self._lock:
            # The engine must not end while a connection that is still open starts something in it.
            self._closing = True
            running = list(self._running)
        self._end(self._root, running)
        self._root.query("SYSTEM STOP MERGES")
        for handle in self._sessions.values():
            handle.close()
        self._root.close()
        self._spool.cleanup()

    @contextmanager
    def _handle(self, session: str) -> Iterator[Handle]:
        handle = self._session(session) if session else Handle(self._path)
        try:
            yield handle
        finally:
            if session:
                handle.lock.release()
            else:
                handle.close()

    def _session(self, name: str) -> Handle:
        with self._lock:
            self._forget_idle_sessions()
            if name not in self._sessions:
                self._sessions[name] = Handle(self._path)
            handle = self._sessions[name]
            if not handle.lock.acquire(blocking=False):
                text = f"Code: 373. DB::Exception: Session {name} is locked by a concurrent client. (SESSION_IS_LOCKED)"
                raise EngineError(373, text)
        return handle

    def _forget_idle_sessions(self) -> None:
        oldest = time.monotonic() - SESSION_IDLE_S
        for name in [n for n, h in self._sessions.items() if h.used_at < oldest and not h.lock.locked()]:
            self._sessions.pop(name).close()

    def _insert(self, handle: Handle, insert: re.Match[bytes], data: memoryview) -> Result:
        """Insert through a file: the engine's own streaming insert hides errors of writing and passes views by."""
        head, *settings = _SETTINGS.split(insert[1].decode(), maxsplit=1)
        with tempfile.NamedTemporaryFile(dir=self._spool.name) as file:
            file.write(data)
            file.flush()
            clause = f"SETTINGS {settings[0]}" if settings else ""
            return handle.query(
                f"{head} FROM INFILE {quoted(file.name)} COMPRESSION 'none' {clause} FORMAT {insert[2].decode()}"
            )

    def _kill(self, handle: Handle, kill: re.Match[str], own: _Running, statement: Statement) -> Result:
        with self._lock:
            others = {r.query_id: r for r in self._running if r is not own}
        ids = ", ".join(map(quoted, others)) or "''"
        listed = f"SELECT arrayJoin([{ids}]) AS query_id"
        condition = f"SELECT query_id FROM ({listed}) WHERE {kill['where']} FORMAT JSONStringsEachRow"  # noqa: S608
        found = handle.query(condition, parameters=statement.parameters)
        named = re.findall(rb'"query_id":"((?:[^"\\]|\\.)*)"', found.body)
        doomed = [others[name] for raw in named if (name := raw.decode()) in others]
        if kill["mode"] != "TEST":
            self._end(handle, doomed, wait=kill["mode"] == "SYNC")
        body = "".join(f"finished\t{r.query_id}\n" for r in doomed).encode()
        return Result(body, "TabSeparated", len(doomed), len(body))

    def _end(self, handle: Handle, doomed: list[_Running], *, wait: bool = True) -> None:
        for running in doomed:
            running.cancelled = True
        if not doomed:
            return
        names = ", ".join(quoted(r.query_id) for r in doomed)
        handle.query(f"KILL QUERY WHERE Settings['log_comment'] IN ({names}) {'SYNC' if wait else 'ASYNC'}")
        for running in doomed if wait else ():
            running.ended.wait()


def _select(handle: Handle, text: str, statement: Statement) -> Result:
    if not _RESULT.match(text):
        return handle.query(text, statement.format, statement.parameters)
    named = _FORMAT.search(text)
    text = re.sub(r"(?i)\bsystem\.processes\b", _PROCESSES, text)
    found = handle.query(text, statement.format, statement.parameters)
    return Result(found.body, named[1] if named else statement.format, found.rows, found.bytes)


def engine_error(error: Exception) -> EngineError:
    """Return an error of the engine with its code, 1001 when it names none."""
    match = _CODE.search(str(error))
    if match:
        return EngineError(int(match[1]), match[0])
    return EngineError(1001, f"Code: 1001. DB::Exception: {type(error).__name__}: {error}. (STD_EXCEPTION)")


def quoted(value: str) -> str:
    """Return a value as a text literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
