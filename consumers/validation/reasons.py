"""Why an event is refused, and what is worth a flag."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why validation refuses an event. The order is documented: the first that applies names the dead letter."""

    TENANT_ID_MISSING = "tenant_id_missing"
    EVENT_CODE_MISSING = "event_code_missing"
    EVENT_ID_INVALID = "event_id_invalid"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    TIME_IN_FUTURE = "time_in_future"
    KEY_TOO_LONG = "key_too_long"
    TEXT_TOO_LONG = "text_too_long"
    BODY_TOO_LONG = "body_too_long"
    TOO_MANY_ITEMS = "too_many_items"
    UNKNOWN_EVENT_CODE = "unknown_event_code"
    BLOCK_MISSING = "block_missing"
    IP_INVALID = "ip_invalid"
    BODY_NOT_JSON = "body_not_json"


class Flag(StrEnum):
    """What is worth noting on a stored event, in alphabetical order."""

    BLOCK_MISSING = "block_missing"
    BODY_NOT_JSON = "body_not_json"
    CLOCK_SKEW = "clock_skew"
    IP_CHAIN_INVALID = "ip_chain_invalid"
    NO_KAFKA_TIME = "no_kafka_time"
    UNKNOWN_EVENT_CODE = "unknown_event_code"
    UNKNOWN_RETENTION_CLASS = "unknown_retention_class"

    @property
    def bit(self) -> int:
        """Bit of the flag in a row's set of flags."""
        return 1 << list(Flag).index(self)


SHOWN_CHARACTERS = 80


def shown(value: str) -> str:
    """Return a value as reasons show it: quoted, shortened, with everything unprintable escaped.

    Controls that change the direction of text are escaped too; letters of any script stay.
    """
    if len(value) <= SHOWN_CHARACTERS:
        return repr(value)
    return f"{value[:SHOWN_CHARACTERS]!r}… ({len(value)} characters)"
