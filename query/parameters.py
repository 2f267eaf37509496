"""Values of a read travel beside its text: the server binds them, no value ever becomes part of the statement."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from query.period import micros

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
