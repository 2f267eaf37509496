"""How long an event is kept: the class of its code, the tenant's days for it, snapped to a few steps."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from consumers.arrays import Bools, dictionary_array
from consumers.batch import Int32s, Int64s
from consumers.coded import Coded, CodeTable, Words
from sinks.settings import RetentionSettings

#: Days that rows may live. Few steps, because rows of one expiry share table partitions, and those are dropped whole.
STEPS_DAYS = (1, 2, 7, 30, 90, 180, 365, 730, 1095, 1825, 2555, 3650)
FOR_EVER_DAYS = 0
#: 2299-12-31T23:59:59.999Z, the latest DateTime64(3) of ClickHouse: "for ever".
#: Source: https://clickhouse.com/docs/sql-reference/data-types/datetime64
FOR_EVER_MS = 10_413_791_999_999
DAY_MS = 86_400_000

_NO_OVERRIDE, _UNKNOWN = -1, -2


class RetentionInvalid(ValueError):
    """Retention settings that contradict themselves.

    Attributes:
        problems: One sentence each, naming setting, value and what was expected.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("retention settings cannot be used:\n" + "\n".join(f"  - {p}" for p in problems))
        self.problems = problems


def snap_up(days: int) -> int:
    """Return the smallest step that keeps rows at least as long.

    Args:
        days: Wanted days, 0 to 3650; 0 is for ever.

    Raises:
        ValueError: There is no step that long.
    """
    if days == FOR_EVER_DAYS:
        return FOR_EVER_DAYS
    if not 0 < days <= STEPS_DAYS[-1]:
        raise ValueError(f"{days} days: expected 1 to {STEPS_DAYS[-1]}, or 0 for ever")
    return STEPS_DAYS[bisect_left(STEPS_DAYS, days)]


def shorter(days: npt.NDArray[np.uint16], limit_days: int) -> npt.NDArray[np.uint16]:
    """Return the shorter of two retentions, where 0 is for ever.

    Args:
        days: Retention of each row, days; uint16[n].
        limit_days: Retention that none may exceed, days, not for ever.
    """
    return np.where(days == FOR_EVER_DAYS, limit_days, np.minimum(days, limit_days)).astype(np.uint16)


def expires_ms(base_ms: Int64s, days: npt.NDArray[np.uint16]) -> Int64s:
    """Return when rows are gone, milliseconds since 1970 UTC, never later than ``FOR_EVER_MS``.

    Args:
        base_ms: When their time begins, milliseconds since 1970 UTC; int64[n].
        days: Days kept, 0 for ever; uint16[n].
    """
    return np.where(
        days == FOR_EVER_DAYS, FOR_EVER_MS, np.minimum(base_ms + days.astype(np.int64) * DAY_MS, FOR_EVER_MS)
    )


def problems_of(settings: RetentionSettings) -> list[str]:
    """Return what is wrong with retention settings, one sentence each."""
    found = (
        []
        if settings.default_class in settings.classes
        else [_unknown("retention.default_class", settings.default_class, settings)]
    )
    days = {f"retention.classes.{name}": d for name, d in settings.classes.items()}
    for tenant, overrides in settings.tenants.items():
        days |= {f"retention.tenants.{tenant}.{name}": d for name, d in overrides.items()}
        strange = [name for name in overrides if name != "*" and name not in settings.classes]
        found += [_unknown(f"retention.tenants.{tenant}", name, settings) for name in strange]
    days |= {"retention.payload_days": settings.payload_days, "retention.dead_letter_days": settings.dead_letter_days}
    limits = f"expected 1 to {STEPS_DAYS[-1]}, or 0 for ever"
    return found + [f"{key} = {d}: {limits}" for key, d in days.items() if not 0 <= d <= STEPS_DAYS[-1]]


def _unknown(key: str, name: str, settings: RetentionSettings) -> str:
    return f"{key} names the class {name!r}, expected one of {', '.join(settings.classes)}"


@dataclass(frozen=True, slots=True)
class Retained:
    """How long n rows are kept.

    Attributes:
        class_codes: Class of each row, as a code into ``class_words``; int32[n].
        class_words: Names of the classes.
        days: Days, 0 for ever; uint16[n].
        unknown_class: Where a class was named that the settings do not have; bool[n].
    """

    class_codes: Int32s
    class_words: Words
    days: npt.NDArray[np.uint16]
    unknown_class: Bools

    @property
    def class_column(self) -> pa.DictionaryArray:
        """The column ``retention_class``."""
        return dictionary_array(self.class_codes, self.class_words.array)


class RetentionPolicy:
    """Resolves class and days of events. Not thread-safe.

    The event's own class wins over that of its code; a class that the settings do not have becomes the default one. A
    tenant's days for the class win over its days for ``*``, those over the general ones.

    Args:
        settings: Days per class and tenant.

    Raises:
        RetentionInvalid: The settings contradict themselves.
    """

    def __init__(self, settings: RetentionSettings) -> None:
        if problems := problems_of(settings):
            raise RetentionInvalid(problems)
        self.payload_days = snap_up(settings.payload_days)
        self._classes = Words(tuple(settings.classes))
        self._known = frozenset(settings.classes)
        self._default = self._classes.code(settings.default_class)
        self._tenants = {tenant: row for row, tenant in enumerate(settings.tenants, start=1)}
        self._days = _days_by_tenant(settings)
        self._tenant_table = CodeTable(lambda tenant: self._tenants.get(tenant, 0))
        self._override_table = CodeTable(self._override)

    def class_code(self, name: str) -> int:
        """Return the code of a class, -2 for one that the settings do not have."""
        return self._classes.code(name) if name in self._known else _UNKNOWN

    @property
    def default_code(self) -> int:
        """Code of the default class."""
        return self._default

    def resolve(self, tenant: Coded, override: Coded, code_class: Int32s) -> Retained:
        """Return class and days of each row.

        Args:
            tenant: Owner of each row; n rows.
            override: Class that the event asks for, or empty; n rows.
            code_class: Class of its event code as returned by ``class_code``; int32[n].
        """
        overrides = self._override_table.rows(override)
        wanted = np.where(overrides == _NO_OVERRIDE, code_class, overrides)
        unknown = wanted == _UNKNOWN
        classes = np.where(unknown, self._default, wanted).astype(np.int32)
        days = self._days[self._tenant_table.rows(tenant), classes]
        return Retained(classes, self._classes, days, unknown)

    def _override(self, name: str) -> int:
        return self.class_code(name) if name else _NO_OVERRIDE


def _days_by_tenant(settings: RetentionSettings) -> npt.NDArray[np.uint16]:
    """Return snapped days; uint16[1 + tenants, classes], row 0 for all tenants without days of their own."""
    general = settings.classes
    rows = [general] + [
        {name: own.get(name, own.get("*", days)) for name, days in general.items()} for own in settings.tenants.values()
    ]
    return np.array([[snap_up(days) for days in row.values()] for row in rows], np.uint16)
