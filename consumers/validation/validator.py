"""Validation of a decoded batch: whole columns are checked, words are found only for what is wrong."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consumers.arrays import Bools, bools, codes, int64s
from consumers.batch import Bytes, Decoded, Int32s, Int64s, Rejection
from consumers.coded import Coded, CodeTable
from consumers.enrich.networks import parse_address
from consumers.settings import ValidateSettings
from consumers.validation.findings import (
    Finding,
    bad_json,
    bad_times,
    long_entries,
    long_items,
    long_strings,
    many_items,
)
from consumers.validation.limits import UNLIMITED, event_fields, limit_of
from consumers.validation.reasons import Flag, Reason, shown
from consumers.validation.times import in_range, received_ms, shown_time
from consumers.validation.uuids import parse_uuids

#: Which block must be there, by record kind. The other kinds need none.
BLOCKS: Mapping[str, str] = {
    "api_call": "api",
    "auth": "auth",
    "run_log": "run",
    "task": "task",
    "export": "export",
    "webhook": "hook",
    "access": "access",
}

_BLANK, _KNOWN, _FILTERED = 1, 2, 4

FlagSets = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation found in m decoded rows.

    Attributes:
        accepted: Rows that are stored; int32[k], ascending.
        filtered: Number of rows left out by ``drop_event_codes``.
        rejections: One per refused row, ascending by position.
        event_ids: UUIDs of all rows in RFC byte order; uint8[m, 16].
        received_ms: When each row was received, milliseconds since 1970 UTC; 0 when unknown; int64[m].
        skew_ms: How long after that it says it occurred, milliseconds, 0 when not later; int64[m].
        flags: Set of ``Flag.bit`` per row; uint16[m].
    """

    accepted: Int32s
    filtered: int
    rejections: Sequence[Rejection]
    event_ids: Bytes
    received_ms: Int64s
    skew_ms: Int64s
    flags: FlagSets


class Validator:
    """Decides which events are stored.

    Not thread-safe: what was found for entries of dictionaries is remembered between batches.

    Args:
        settings: Limits, and whether soft rules refuse or flag.
        catalogue: The known event codes.
        drop_event_codes: Codes that are filtered out; a trailing ``*`` stands for any ending.
    """

    def __init__(
        self, settings: ValidateSettings, catalogue: Container[str], drop_event_codes: Sequence[str] = ()
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._drop_codes = frozenset(code for code in drop_event_codes if not code.endswith("*"))
        self._drop_prefixes = tuple(code[:-1] for code in drop_event_codes if code.endswith("*"))
        self._fields = event_fields()
        self._event_codes = CodeTable(self._judge_code)
        self._tenants = CodeTable(lambda word: not word.strip())
        self._addresses = CodeTable(lambda word: bool(word) and parse_address(word) is None)

    def validate(self, decoded: Decoded, timestamps_ms: Int64s) -> Verdict:
        """Judge the decoded rows of a batch.

        Args:
            decoded: The rows.
            timestamps_ms: Kafka timestamp of every message of the batch, milliseconds since 1970 UTC; int64[n].
        """
        run = _Run(decoded, timestamps_ms[decoded.rows])
        event_codes = self._event_codes.rows(
            Coded.of(decoded.columns["event_code"], decoded.generations.get("event_code"))
        )
        dropped = event_codes & _FILTERED > 0
        for finding in self._findings(run, event_codes):
            run.add(finding)
        return run.verdict(dropped)

    def _findings(self, run: _Run, event_codes: Int32s) -> Iterator[Finding]:
        yield from self._required(run, event_codes)
        yield from self._times(run)
        yield from self._sizes(run)
        yield from self._known(run, event_codes)
        yield from self._blocks(run)
        yield from self._ips(run)
        yield from self._bodies(run)

    def _judge_code(self, code: str) -> int:
        dropped = code in self._drop_codes or code.startswith(self._drop_prefixes)
        return (not code.strip()) * _BLANK | (code in self._catalogue) * _KNOWN | dropped * _FILTERED

    def _required(self, run: _Run, event_codes: Int32s) -> Iterator[Finding]:
        blank = self._tenants.rows(run.coded("tenant_id")) > 0
        yield Finding(
            Reason.TENANT_ID_MISSING,
            np.flatnonzero(blank),
            lambda _: "tenant_id is empty, expected the owner of the event",
        )
        rows = np.flatnonzero(event_codes & _BLANK)
        yield Finding(
            Reason.EVENT_CODE_MISSING, rows, lambda _: "event_code is empty, expected a code like campaign.activate"
        )
        run.event_ids, ok = parse_uuids(run.columns["event_id"])
        yield Finding(
            Reason.EVENT_ID_INVALID,
            np.flatnonzero(~ok),
            lambda row: (
                f"event_id is {shown(run.text('event_id', row))}, expected a UUID of 8-4-4-4-12 hexadecimal digits"
            ),
        )

    def _times(self, run: _Run) -> Iterator[Finding]:
        for path in self._fields.times:
            yield from bad_times(path, run.columns[path])
        run.flag(Flag.NO_KAFKA_TIME, ~run.received_known)
        comparable = run.received_known & in_range(run.occurred_us)
        late_us = np.where(comparable, run.occurred_us - run.received_ms * 1000, 0)
        run.skew_ms = np.maximum(late_us, 0) // 1000
        run.flag(Flag.CLOCK_SKEW, late_us > self._settings.skew_flag_s * 1e6)
        rows = np.flatnonzero(late_us > self._settings.max_future_s * 1e6)
        yield Finding(Reason.TIME_IN_FUTURE, rows, lambda row: self._future(run, row))

    def _future(self, run: _Run, row: int) -> str:
        occurred, received = shown_time(int(run.occurred_us[row])), shown_time(int(run.received_ms[row]) * 1000)
        return f"occurred_at is {occurred}, more than {self._settings.max_future_s:g} s after Kafka's {received}"

    def _sizes(self, run: _Run) -> Iterator[Finding]:
        settings, fields, columns = self._settings, self._fields, run.columns
        for path in fields.strings:
            if path not in UNLIMITED:
                yield from long_strings(path, columns[path], limit_of(path, settings))
        for path in fields.string_lists:
            yield from long_items(path, columns[path], limit_of(path, settings))
        for path in fields.maps:
            yield from long_entries(path, columns[path], limit_of(path, settings), limit_of(f"{path}.*", settings))
        for path in (*fields.lists, *fields.maps):
            yield from many_items(path, columns[path], settings.max_items)

    def _known(self, run: _Run, event_codes: Int32s) -> Iterator[Finding]:
        unknown = event_codes & (_KNOWN | _BLANK) == 0
        expected = "expected a code of the event catalogue"
        finding = Finding(
            Reason.UNKNOWN_EVENT_CODE,
            np.flatnonzero(unknown),
            lambda row: f"event_code is {shown(run.text('event_code', row))}, {expected}",
        )
        yield from run.soft(finding, Flag.UNKNOWN_EVENT_CODE, refuse=self._settings.catalogue == "strict")

    def _blocks(self, run: _Run) -> Iterator[Finding]:
        kinds = run.columns["record_kind"]
        kind_codes, names = codes(kinds), kinds.dictionary.to_pylist()
        missing = np.zeros(run.rows, np.bool_)
        for kind, block in BLOCKS.items():
            of_kind = kind_codes == names.index(kind)
            if of_kind.any():
                missing |= of_kind & ~bools(run.columns[block])
        finding = Finding(
            Reason.BLOCK_MISSING,
            np.flatnonzero(missing),
            lambda row: (
                f"record_kind is {run.text('record_kind', row)}, expected its block {BLOCKS[run.text('record_kind', row)]}"
            ),
        )
        yield from run.soft(finding, Flag.BLOCK_MISSING, refuse=self._settings.block == "strict")

    def _ips(self, run: _Run) -> Iterator[Finding]:
        bad = self._addresses.rows(run.coded("ip")) > 0
        expected = "expected a plain IPv4 or IPv6 address"
        yield Finding(
            Reason.IP_INVALID, np.flatnonzero(bad), lambda row: f"ip is {shown(run.text('ip', row))}, {expected}"
        )

    def _bodies(self, run: _Run) -> Iterator[Finding]:
        if self._settings.json_bodies == "off":
            return
        cut = bools(run.columns["api.truncated"])
        for path in ("api.request_body", "api.response_body"):
            for finding in bad_json(path, run.columns[path], cut):
                yield from run.soft(finding, Flag.BODY_NOT_JSON, refuse=self._settings.json_bodies == "strict")


class _Run:
    """The state of judging one batch."""

    def __init__(self, decoded: Decoded, timestamps_ms: Int64s) -> None:
        self.columns = decoded.columns
        self.rows = len(decoded.rows)
        self.occurred_us = int64s(decoded.columns["occurred_at"])
        self.received_ms, self.received_known = received_ms(timestamps_ms)
        self.event_ids = np.zeros((0, 16), np.uint8)
        self.skew_ms = np.zeros(0, np.int64)
        self._decoded = decoded
        self._flags = np.zeros(self.rows, np.uint16)
        self._refused = np.zeros(self.rows, np.bool_)
        self._findings: list[Finding] = []

    def coded(self, path: str) -> Coded:
        return Coded.of(self.columns[path], self._decoded.generations.get(path))

    def text(self, path: str, row: int) -> str:
        text: str = self.columns[path][row].as_py()
        return text

    def flag(self, flag: Flag, rows: Bools | Int64s) -> None:
        self._flags[rows] |= flag.bit

    def soft(self, finding: Finding, flag: Flag, *, refuse: bool) -> Iterator[Finding]:
        """Pass a finding on when it refuses, else flag its rows."""
        if refuse:
            yield finding
        else:
            self.flag(flag, finding.rows)

    def add(self, finding: Finding) -> None:
        if finding.rows.size:
            self._refused[finding.rows] = True
            self._findings.append(finding)

    def verdict(self, dropped: Bools) -> Verdict:
        # A filtered event is left out whatever else is wrong with it.
        refused = self._refused & ~dropped
        return Verdict(
            accepted=np.flatnonzero(~(refused | dropped)).astype(np.int32),
            filtered=int(dropped.sum()),
            rejections=[self._rejection(*problem) for problem in self._problems(refused)],
            event_ids=self.event_ids,
            received_ms=self.received_ms,
            skew_ms=self.skew_ms,
            flags=self._flags,
        )

    def _problems(self, refused: Bools) -> Iterator[tuple[int, list[tuple[Reason, str]]]]:
        if not refused.any():
            return
        problems: dict[int, list[tuple[Reason, str]]] = {row: [] for row in np.flatnonzero(refused).tolist()}
        for finding in self._findings:
            for row in finding.rows[refused[finding.rows]].tolist():
                problems[row].append((finding.reason, finding.describe(row)))
        yield from problems.items()

    def _rejection(self, row: int, problems: list[tuple[Reason, str]]) -> Rejection:
        order = list(Reason)
        first = min((reason for reason, _ in problems), key=order.index)
        return Rejection(
            position=int(self._decoded.rows[row]),
            stage="validate",
            reason_code=first.value,
            reason="; ".join(text for _, text in sorted(problems, key=lambda p: order.index(p[0]))),
            tenant_id=self.text("tenant_id", row),
            event_code=self.text("event_code", row),
            event_id=self.text("event_id", row),
        )
