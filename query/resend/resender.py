"""Sending a webhook again: the one order of steps in which it is safe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import structlog

from query.resend.errors import InDoubt, LedgerUnavailable, NotPossible, NotRecorded, Underway
from query.resend.ledger import Entry, ResendLedger
from query.resend.promise import Trail, Way
from query.resend.request import Ask, Command, Outcome, Resend, State, resend_id
from query.resend.routes import route_of
from query.resend.sendout import Sendout
from query.resend_settings import RouteSettings

log = structlog.get_logger(__name__)

#: The state that calls for a re-send; any other needs force.
FAILED = "error"
_ENDS: tuple[State, ...] = ("accepted", "refused", "unanswered")
#: Beyond the deadline of its route a claim without outcome belongs to a process that is gone.
_GRACE = timedelta(seconds=30)


class Resender:
    """Asks services to send webhooks again. Any thread may ask.

    1. A request whose idempotency key has an outcome gets that outcome: nothing is asked.
    2. State and route are checked; what is refused here leaves no trace but the error.
    3. The request is claimed in the ledger. Of two claims at the same moment none goes on.
    4. The request is audited; when that is impossible, the claim is withdrawn.
    5. The service is asked, with the same id in every repetition.
    6. The outcome goes into the ledger and is audited.

    A process that dies after 3 leaves a claim without outcome: the key is in doubt from then on and never asks again.
    """

    def __init__(
        self, routes: Mapping[str, RouteSettings], ways: Mapping[str, Way], ledger: ResendLedger, trail: Trail
    ) -> None:
        """Put the parts together; all of them are closed by the caller.

        Args:
            routes: Name of a route and what it takes, in the order in which they are tried.
            ways: Name of a route and how it delivers.
            ledger: Where requests are kept.
            trail: Where they are audited.
        """
        self._routes, self._ways, self._ledger, self._trail = routes, ways, ledger, trail

    def resend(self, sendout: Sendout, ask: Ask) -> Resend:
        """Ask the service of a sendout to send it again.

        Args:
            sendout: Its latest state, read within the scope of whoever asks.
            ask: Who asks, why, and under which key.

        Returns:
            The request with its outcome; ``repeated`` when the key had been used before.

        Raises:
            ResendError: Nothing was asked; see ``query.resend.errors``.
        """
        request = resend_id(sendout, ask.key)
        entries = self._ledger.entries(sendout)
        if (earlier := _ended(entries, request)) is not None:
            return earlier
        route = self.check(sendout, force=ask.force, entries=entries)
        claimed = self._claim(sendout, ask, request, route)
        command = Command(request, sendout, ask, claimed.resend.asked_at)
        self._record(claimed, command)
        return self._asked(claimed, command)

    def check(self, sendout: Sendout, *, force: bool = False, entries: Sequence[Entry] | None = None) -> str:
        """Prove that a sendout can be sent again now, and return the name of its route.

        Args:
            sendout: Its latest state.
            force: Whether its state is passed over.
            entries: What the ledger has about it, when that is known already.

        Raises:
            NotPossible: Its state does not call for it, or somebody asked since it failed.
            NoRoute: No route takes it.
            Underway: It is being asked for at this moment.
            LedgerUnavailable: The database gives no answer.
        """
        route = route_of(self._routes, sendout)
        if not force and sendout.status != FAILED:
            what = f"the webhook sendout {sendout.sendout_id} is {sendout.status!r}, not {FAILED!r}"
            raise NotPossible(f"{what}; force it to send it again all the same")
        known = self._ledger.entries(sendout) if entries is None else entries
        self._check_others(sendout, known, force=force)
        return route

    def found(self, sendout: Sendout, key: str) -> Resend | None:
        """Return the outcome of the request for a sendout with a key, None while there is none.

        Raises:
            LedgerUnavailable: The database gives no answer.
        """
        entries = self._ledger.entries(sendout)
        return next((e.resend for e in entries if e.resend.key == key and e.state in _ENDS), None)

    def _check_others(self, sendout: Sendout, entries: Sequence[Entry], *, force: bool) -> None:
        if open_ := _open_claims(entries):
            resend = open_[-1].resend
            if datetime.now(UTC) - resend.asked_at < self._patience(resend.route):
                raise Underway(
                    f"{resend.by.name} is asking for {sendout.sendout_id} at this moment; wait for the outcome"
                )
        taken = [e.resend for e in entries if e.state == "accepted" and e.resend.asked_at >= sendout.stored_at]
        if taken and not force:
            last = taken[-1]
            when = last.asked_at.isoformat(timespec="seconds")
            raise NotPossible(
                f"{last.by.name} asked for {sendout.sendout_id} at {when}, and the service took it; nothing was reported "
                "since. Force it to ask once more"
            )

    def _patience(self, route: str) -> timedelta:
        found = self._routes.get(route)
        return _GRACE + timedelta(seconds=found.deadline_s if found else 0)

    def _claim(self, sendout: Sendout, ask: Ask, request: UUID, route: str) -> Entry:
        resend = Resend(
            resend_id=request,
            tenant_id=sendout.tenant_id,
            sendout_id=sendout.sendout_id,
            key=ask.key,
            asked_at=_now(),
            by=replace(ask.by, ip=""),
            reason=ask.reason.strip(),
            forced=ask.force,
            route=route,
            outcome=Outcome("claimed", "", attempts=0),
        )
        mine = Entry(uuid4(), resend)
        self._ledger.write(mine)
        others = [e for e in _open_claims(self._ledger.entries(sendout)) if e.claim_id != mine.claim_id]
        fresh = [e for e in others if resend.asked_at - e.resend.asked_at < self._patience(e.resend.route)]
        if fresh:
            self._end(mine, Outcome("withdrawn", "another request came at the same moment", attempts=0))
            raise Underway(f"another request for {sendout.sendout_id} came at the same moment; ask again")
        return mine

    def _record(self, claimed: Entry, command: Command) -> None:
        try:
            self._trail.requested(command, claimed.resend.route)
        except NotRecorded as error:
            self._end(claimed, Outcome("withdrawn", str(error), attempts=0))
            raise

    def _asked(self, claimed: Entry, command: Command) -> Resend:
        outcome = self._ways[claimed.resend.route].deliver(command)
        ended = self._end(claimed, outcome)
        self._trail.answered(ended, command)
        return ended

    def _end(self, claimed: Entry, outcome: Outcome) -> Resend:
        ended = replace(claimed.resend, outcome=outcome)
        try:
            self._ledger.write(replace(claimed, resend=ended))
        except LedgerUnavailable as error:
            # What was asked cannot be taken back. The caller learns the outcome; the key stays in doubt.
            log.error("resend_outcome_not_kept", resend_id=str(ended.resend_id), state=outcome.state, reason=str(error))
        return ended


def _ended(entries: Sequence[Entry], request: UUID) -> Resend | None:
    mine = [e for e in entries if e.resend.resend_id == request]
    for entry in mine:
        if entry.state in _ENDS:
            return replace(entry.resend, repeated=True)
    if _open_claims(mine):
        raise InDoubt(
            "an earlier request with this idempotency key has no known outcome: it is under way, or its process died. "
            "Look at the attempts of the sendout; a new key asks again"
        )
    return None


def _open_claims(entries: Sequence[Entry]) -> list[Entry]:
    ended = {e.claim_id for e in entries if e.state != "claimed"}
    return [e for e in entries if e.claim_id not in ended]


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
