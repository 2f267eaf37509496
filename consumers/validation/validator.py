"""Validation of a decoded batch: whole columns are checked, words are found only for what is wrong."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from consumers.arrays import bools, codes
from consumers.batch import Decoded, Int32s, Int64s
from consumers.coded import Coded, CodeTable
from consumers.enrich.networks import parse_address
from consumers.settings import ValidateSettings
from consumers.validation.findings import (
    Finding,
    WordLengths,
    bad_json,
    bad_times,
    long_entries,
    long_items,
    long_strings,
    many_items,
)
from consumers.validation.limits import UNLIMITED, event_fields, limit_of
from consumers.validation.reasons import Flag, Reason, shown
from consumers.validation.times import in_range, shown_time
from consumers.validation.uuids import parse_uuids
from consumers.validation.verdict import Hearing, Verdict

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
        self._fields = fields = event_fields()
        limited = (*fields.strings, *fields.string_lists, *fields.maps, *(f"{path}.*" for path in fields.maps))
        self._limits = {path: limit_of(path, settings) for path in limited}
        self._words = WordLengths()
        self._event_codes = CodeTable(self._judge_code)
        self._tenants = CodeTable(lambda word: not word.strip())
        self._addresses = CodeTable(lambda word: bool(word) and parse_address(word) is None)

    def validate(self, decoded: Decoded, timestamps_ms: Int64s) -> Verdict:
        """Judge the decoded rows of a batch.

        Args:
            decoded: The rows.
            timestamps_ms: Kafka timestamp of every message of the batch, milliseconds since 1970 UTC; int64[n].
        """
        run = Hearing(decoded, timestamps_ms[decoded.rows])
        event_codes = self._event_codes.rows(
            Coded.of(decoded.columns["event_code"], decoded.generations.get("event_code"))
        )
        dropped = event_codes & _FILTERED > 0
        for finding in self._findings(run, event_codes):
            run.add(finding)
        return run.verdict(dropped)

    def _findings(self, run: Hearing, event_codes: Int32s) -> Iterator[Finding]:
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

    def _required(self, run: Hearing, event_codes: Int32s) -> Iterator[Finding]:
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

    def _times(self, run: Hearing) -> Iterator[Finding]:
        for path in run.filled(self._fields.times):
            yield from bad_times(path, run.columns[path])
        run.flag(Flag.NO_KAFKA_TIME, ~run.received_known)
        comparable = run.received_known & in_range(run.occurred_us)
        late_us = np.where(comparable, run.occurred_us - run.received_ms * 1000, 0)
        run.skew_ms = np.maximum(late_us, 0) // 1000
        run.flag(Flag.CLOCK_SKEW, late_us > self._settings.skew_flag_s * 1e6)
        rows = np.flatnonzero(late_us > self._settings.max_future_s * 1e6)
        yield Finding(Reason.TIME_IN_FUTURE, rows, lambda row: self._future(run, row))

    def _future(self, run: Hearing, row: int) -> str:
        occurred, received = shown_time(int(run.occurred_us[row])), shown_time(int(run.received_ms[row]) * 1000)
        return f"occurred_at is {occurred}, more than {self._settings.max_future_s:g} s after Kafka's {received}"

    def _sizes(self, run: Hearing) -> Iterator[Finding]:
        fields, columns, limits = self._fields, run.columns, self._limits
        for path in fields.strings:
            if path not in run.blank and path not in UNLIMITED and not self._are_fine(run, path):
                yield from long_strings(path, columns[path], limits[path])
        for path in run.filled(fields.string_lists):
            yield from long_items(path, columns[path], limits[path])
        for path in run.filled(fields.maps):
            yield from long_entries(path, columns[path], limits[path], limits[f"{path}.*"])
        for path in run.filled((*fields.lists, *fields.maps)):
            yield from many_items(path, columns[path], self._settings.max_items)

    def _are_fine(self, run: Hearing, path: str) -> bool:
        array = run.columns[path]
        if not isinstance(array, pa.DictionaryArray):
            return False
        return self._words.fine(path, array.dictionary, run.generation(path), self._limits[path])

    def _known(self, run: Hearing, event_codes: Int32s) -> Iterator[Finding]:
        unknown = event_codes & (_KNOWN | _BLANK) == 0
        expected = "expected a code of the event catalogue"
        finding = Finding(
            Reason.UNKNOWN_EVENT_CODE,
            np.flatnonzero(unknown),
            lambda row: f"event_code is {shown(run.text('event_code', row))}, {expected}",
        )
        yield from run.soft(finding, Flag.UNKNOWN_EVENT_CODE, refuse=self._settings.catalogue == "strict")

    def _blocks(self, run: Hearing) -> Iterator[Finding]:
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

    def _ips(self, run: Hearing) -> Iterator[Finding]:
        bad = self._addresses.rows(run.coded("ip")) > 0
        expected = "expected a plain IPv4 or IPv6 address"
        yield Finding(
            Reason.IP_INVALID, np.flatnonzero(bad), lambda row: f"ip is {shown(run.text('ip', row))}, {expected}"
        )

    def _bodies(self, run: Hearing) -> Iterator[Finding]:
        if self._settings.json_bodies == "off":
            return
        cut = bools(run.columns["api.truncated"])
        for path in run.filled(("api.request_body", "api.response_body")):
            for finding in bad_json(path, run.columns[path], cut):
                yield from run.soft(finding, Flag.BODY_NOT_JSON, refuse=self._settings.json_bodies == "strict")
