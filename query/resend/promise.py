"""What delivers a request, and what keeps its trail: the promises that re-sending rests on."""

from __future__ import annotations

from typing import Protocol

from query.resend.request import Command, Outcome, Resend


class Way(Protocol):
    """Takes requests to the service of a route. Any thread may ask."""

    def deliver(self, command: Command) -> Outcome:
        """Deliver one request, repeating it within the route's limits while it is not answered.

        Every repetition carries the same ``resend_id``. It never raises for what the service or the network do: that
        is an outcome.
        """
        ...


class Trail(Protocol):
    """Makes audit events of requests."""

    def requested(self, command: Command, route: str) -> None:
        """Record a request before anything is asked.

        Raises:
            NotRecorded: It cannot be kept; nothing may be asked then.
        """
        ...

    def answered(self, resend: Resend, command: Command) -> None:
        """Record what became of a request. It does not raise: what was done cannot be undone."""
        ...
