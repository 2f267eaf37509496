"""What each ClickHouse error code means for a batch: wait, stop, look for a bad row, or give it a few more chances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from sinks.errors import SinkError, SinkStopped, SinkUnavailable

Verdict = Literal["retry", "stop", "bad_row", "unknown"]

#: Code -> (reason for metrics, seconds to wait at least). Source: ClickHouse src/Common/ErrorCodes.cpp.
RETRY: Mapping[int, tuple[str, float]] = {
    3: ("network", 0.5),  # UNEXPECTED_END_OF_FILE: the body was cut short
    95: ("network", 0.5),  # CANNOT_READ_FROM_SOCKET
    96: ("network", 0.5),  # CANNOT_WRITE_TO_SOCKET
    159: ("timeout", 1.0),  # TIMEOUT_EXCEEDED
    160: ("timeout", 1.0),  # TOO_SLOW
    164: ("read_only", 5.0),  # READONLY: a server under maintenance; a wrong profile shows as a lasting alarm
    173: ("memory", 2.0),  # CANNOT_ALLOCATE_MEMORY
    198: ("network", 1.0),  # DNS_ERROR
    201: ("quota", 10.0),  # QUOTA_EXCEEDED: quotas are per interval
    202: ("overloaded", 2.0),  # TOO_MANY_SIMULTANEOUS_QUERIES
    203: ("network", 1.0),  # NO_FREE_CONNECTION
    209: ("network", 0.5),  # SOCKET_TIMEOUT
    210: ("network", 0.5),  # NETWORK_ERROR
    216: ("busy", 1.0),  # QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING
    218: ("busy", 1.0),  # TABLE_IS_DROPPED: being dropped or detached
    225: ("keeper", 2.0),  # NO_ZOOKEEPER
    236: ("aborted", 1.0),  # ABORTED: the server shuts down
    241: ("memory", 2.0),  # MEMORY_LIMIT_EXCEEDED
    242: ("read_only", 5.0),  # TABLE_IS_READ_ONLY: the replica lost its Keeper session
    243: ("disk_full", 10.0),  # NOT_ENOUGH_SPACE: TTL or an operator frees space; nothing is lost by waiting
    244: ("keeper", 2.0),  # UNEXPECTED_ZOOKEEPER_ERROR
    252: ("too_many_parts", 5.0),  # TOO_MANY_PARTS: merges must catch up, hurrying makes it worse
    279: ("network", 1.0),  # ALL_CONNECTION_TRIES_FAILED
    285: ("quorum", 2.0),  # TOO_FEW_LIVE_REPLICAS
    286: ("quorum", 2.0),  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
    289: ("quorum", 2.0),  # REPLICA_IS_NOT_IN_QUORUM
    319: ("unknown_status", 1.0),  # UNKNOWN_STATUS_OF_INSERT
    373: ("busy", 1.0),  # SESSION_IS_LOCKED
    394: ("cancelled", 1.0),  # QUERY_WAS_CANCELLED
    415: ("keeper", 5.0),  # ALL_REPLICAS_LOST
    425: ("system", 2.0),  # SYSTEM_ERROR
    439: ("overloaded", 2.0),  # CANNOT_SCHEDULE_TASK
    473: ("busy", 0.5),  # DEADLOCK_AVOIDED
    574: ("overloaded", 5.0),  # DISTRIBUTED_TOO_MANY_PENDING_BYTES
    999: ("keeper", 2.0),  # KEEPER_EXCEPTION
}

#: Codes that waiting does not mend: tables, columns, rights and settings that somebody has to correct.
STOP: Mapping[int, str] = {
    8: "THERE_IS_NO_COLUMN",
    16: "NO_SUCH_COLUMN_IN_TABLE",
    20: "NUMBER_OF_COLUMNS_DOESNT_MATCH",
    36: "BAD_ARGUMENTS",
    44: "ILLEGAL_COLUMN",
    46: "UNKNOWN_FUNCTION",
    47: "UNKNOWN_IDENTIFIER",
    48: "NOT_IMPLEMENTED",
    50: "UNKNOWN_TYPE",
    60: "UNKNOWN_TABLE",
    62: "SYNTAX_ERROR",
    73: "UNKNOWN_FORMAT",
    81: "UNKNOWN_DATABASE",
    115: "UNKNOWN_SETTING",
    192: "UNKNOWN_USER",
    193: "WRONG_PASSWORD",
    195: "IP_ADDRESS_NOT_ALLOWED",
    291: "DATABASE_ACCESS_DENIED",
    452: "SETTING_CONSTRAINT_VIOLATION",
    497: "ACCESS_DENIED",
    516: "AUTHENTICATION_FAILED",
}

#: Codes with which a value, not the table, is refused: the block is searched for the rows that cause it.
BAD_ROW: Mapping[int, str] = {
    6: "CANNOT_PARSE_TEXT",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    33: "CANNOT_READ_ALL_DATA",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    131: "TOO_LARGE_STRING_SIZE",
    190: "SIZES_OF_ARRAYS_DONT_MATCH",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    395: "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",
    407: "DECIMAL_OVERFLOW",
    469: "VIOLATED_CONSTRAINT",
    636: "CANNOT_EXTRACT_TABLE_STRUCTURE",
}


class RowsRefused(SinkError):
    """ClickHouse refused a block because of a value in it; raised and handled inside the sink.

    Attributes:
        detail: What the database said.
        code: ClickHouse error code.
    """

    def __init__(self, detail: str, *, code: int) -> None:
        super().__init__(f"the database refused rows: {detail}")
        self.detail, self.code = detail, code


class UnknownRefusal(SinkUnavailable):
    """ClickHouse answered with a code that has no verdict: tried again a limited number of times."""


def verdict(code: int) -> Verdict:
    """Return what a ClickHouse error code means for the statement that got it."""
    if code in RETRY:
        return "retry"
    if code in STOP:
        return "stop"
    return "bad_row" if code in BAD_ROW else "unknown"


def sink_error(code: int, detail: str) -> SinkError:
    """Build the error that tells the caller what to do.

    Args:
        code: ClickHouse error code, 0 when there was no answer.
        detail: What the database or the network said.
    """
    if code == 0:
        return SinkUnavailable("network", detail)
    match verdict(code):
        case "retry":
            reason, wait_s = RETRY[code]
            return SinkUnavailable(reason, detail, retry_after_s=wait_s, code=code)
        case "stop":
            return SinkStopped(detail, code=code)
        case "bad_row":
            return RowsRefused(detail, code=code)
    return UnknownRefusal("unknown", detail, retry_after_s=2.0, code=code)
