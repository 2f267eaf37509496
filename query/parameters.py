"""Values of a read travel beside its text: the server binds them, no value ever becomes part of the statement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from query.period import from_micros, micros

Bindable: TypeAlias = str | int | list[str] | list[int]


@dataclass(slots=True)
class Parameters:
    """The values bound so far, by the name of their placeholder.

    Attributes:
        values: Placeholder name to value, as clickhouse-connect takes them.
    """

    values: dict[str, Bindable] = field(default_factory=dict)

    def bind(self, value: Bindable, clickhouse_type: str) -> str:
        """Bind a value and return the placeholder that stands for it.

        Args:
            value: The value.
            clickhouse_type: Its type, for example ``String`` or ``Array(Int64)``; written by us, never by a user.
        """
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{clickhouse_type}}}"

    def text(self, value: str) -> str:
        """Bind a text."""
        return self.bind(value, "String")

    def moment(self, value: datetime) -> str:
        """Bind a moment with all its microseconds and return an expression of type DateTime64(6, 'UTC')."""
        # As a number: the client's own text form of a time drops its fraction.
        return self.moment_of_micros(micros(value))

    def moment_of_micros(self, value: int) -> str:
        """Bind a moment given in microseconds since 1970-01-01 UTC; see ``moment``."""
        return f"fromUnixTimestamp64Micro({self.bind(value, 'Int64')}, 'UTC')"

    def moments_of_micros(self, values: Iterable[int]) -> str:
        """Bind moments given as in ``moment_of_micros`` and return what follows ``IN``."""
        # As one constant: an index does not see through a function over an array.
        texts = [from_micros(value).strftime("%Y-%m-%d %H:%M:%S.%f") for value in values]
        return self.bind(texts, "Array(DateTime64(6, 'UTC'))")
