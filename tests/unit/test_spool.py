from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from producers import SpoolFull, SpoolLocked, SpoolUnusable
from producers.spool import Spool, Ticket
from producers.spool.segment import START, Segment

_SEGMENT = 4096


class _Reports(list[tuple[str, str, int]]):
    def __call__(self, what: str, path: Path, size: int) -> None:
        self.append((what, path.name, size))


def _open(directory: Path, *, limit: int = 10 * _SEGMENT, report: _Reports | None = None, **more: Any) -> Spool:
    arguments: dict[str, Any] = {"limit_bytes": limit, "segment_bytes": _SEGMENT, "fsync": "never"} | more
    return Spool(directory, report=report if report is not None else _Reports(), **arguments)


def _ready(spool: Spool) -> list[bytes]:
    """Take every waiting event, as the sender does."""
    bodies, cursor = [], spool.first()
    while found := spool.next_ready(cursor):
        cursor, event = found
        spool.sent(cursor)
        bodies.append(event.body)
    return bodies


def _segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.spool"))


def test_events_come_back_in_order_over_many_files_with_key_and_version(tmp_path: Path) -> None:
    spool = _open(tmp_path)
    for n in range(50):
        spool.append(n % 3, b"key" * (n % 2), bytes([n]) * 300)
    assert len(_segments(tmp_path)) > 3
    found = spool.next_ready(spool.first())
    assert found is not None
    assert (found[1].version, found[1].key, found[1].body) == (0, b"", b"\0" * 300)
    assert _ready(spool) == [bytes([n]) * 300 for n in range(50)]
    spool.close()


def test_a_restart_sends_what_was_sent_and_not_acknowledged_and_nothing_else(tmp_path: Path) -> None:
    spool = _open(tmp_path)
    tickets = [spool.append(1, b"k", bytes([n])) for n in range(5)]
    for ticket in tickets[:4]:
        spool.sent(ticket)
    spool.acknowledged(tickets[1])
    spool.close()
    again = _open(tmp_path)
    assert again.pending == 4
    assert _ready(again) == [b"\0", b"\2", b"\3", b"\4"]
    again.close()


def test_appending_goes_on_behind_what_an_earlier_process_left(tmp_path: Path) -> None:
    spool = _open(tmp_path)
    spool.append(1, b"", b"old")
    spool.close()
    again = _open(tmp_path)
    again.append(1, b"", b"new")
    assert len(_segments(tmp_path)) == 1
    assert _ready(again) == [b"old", b"new"]
    again.close()


def test_a_file_goes_when_all_of_its_events_are_acknowledged(tmp_path: Path) -> None:
    spool = _open(tmp_path)
    tickets = [spool.append(1, b"", bytes(1000)) for _ in range(10)]
    first_file = [t for t in tickets if t.segment == tickets[0].segment]
    for ticket in first_file[1:]:
        spool.acknowledged(ticket)
    assert len(_segments(tmp_path)) == 3
    spool.acknowledged(first_file[0])
    assert len(_segments(tmp_path)) == 2
    for ticket in tickets[len(first_file) :]:
        spool.acknowledged(ticket)
    assert spool.pending == 0
    spool.close()
    assert _segments(tmp_path) == []


def test_a_full_spool_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    spool = _open(tmp_path, limit=2 * _SEGMENT)
    accepted: list[Ticket] = []
    with pytest.raises(SpoolFull, match=f"limit {2 * _SEGMENT}"):
        accepted.extend(spool.append(1, b"", bytes(500)) for _ in range(100))
    assert spool.size_bytes <= 2 * _SEGMENT
    assert len(_ready(spool)) == len(accepted) > 0
    spool.close()


def test_an_event_larger_than_a_file_gets_a_file_of_its_size(tmp_path: Path) -> None:
    spool = _open(tmp_path, limit=10 * _SEGMENT)
    spool.append(1, b"", bytes(100))
    spool.append(1, b"", b"x" * 3 * _SEGMENT)
    assert [len(b) for b in _ready(spool)] == [100, 3 * _SEGMENT]
    spool.close()


def test_a_returned_event_is_found_again_in_its_place(tmp_path: Path) -> None:
    spool = _open(tmp_path)
    tickets = [spool.append(1, b"", bytes([n])) for n in range(3)]
    assert len(_ready(spool)) == 3
    spool.returned(tickets[1])
    assert _ready(spool) == [b"\1"]
    spool.close()


def test_a_rejected_event_is_set_aside_and_counts_against_the_limit(tmp_path: Path) -> None:
    spool = _open(tmp_path)
    spool.rejected(spool.append(1, b"", b"unwanted"))
    assert spool.pending == 0
    spool.close()
    kept = list(tmp_path.glob("*.rejected"))
    assert len(kept) == 1
    assert b"unwanted" in kept[0].read_bytes()
    again = _open(tmp_path)
    assert again.size_bytes == _SEGMENT
    again.close()


@pytest.mark.parametrize("damage", ["flipped", "torn", "garbage"])
def test_a_damaged_tail_is_cut_kept_and_reported_and_the_rest_is_sent(tmp_path: Path, damage: str) -> None:
    spool = _open(tmp_path)
    tickets = [spool.append(1, b"key", bytes([65 + n]) * 40) for n in range(3)]
    spool.close()
    path = _segments(tmp_path)[0]
    data, last = bytearray(path.read_bytes()), tickets[2].position
    if damage == "flipped":
        data[last + 30] ^= 1
    elif damage == "torn":
        data[last] = 0
    else:
        data[last : last + 200] = b"\xff" * 200
    path.write_bytes(data)
    reports = _Reports()
    again = _open(tmp_path, report=reports)
    assert _ready(again) == [b"A" * 40, b"B" * 40]
    assert [(what, name) for what, name, _ in reports] == [("cut", path.name)]
    assert b"C" * 20 in path.with_suffix(".cut").read_bytes() or damage == "garbage"
    again.append(1, b"", b"after")
    again.close()
    clean = _Reports()
    third = _open(tmp_path, report=clean)
    assert _ready(third)[-1] == b"after"
    assert clean == []
    third.close()


@pytest.mark.parametrize("content", [b"", b"something else entirely"])
def test_a_file_that_is_no_segment_is_kept_aside_and_reported(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / f"{1:016d}.spool"
    path.write_bytes(content)
    reports = _Reports()
    spool = _open(tmp_path, report=reports)
    spool.append(1, b"", b"x")
    assert reports == [("unreadable", path.name, len(content))]
    assert path.with_suffix(".unreadable").read_bytes() == content
    assert _ready(spool) == [b"x"]
    spool.close()


def test_one_process_owns_a_directory_and_gives_it_free(tmp_path: Path) -> None:
    spool = _open(tmp_path)
    with pytest.raises(SpoolLocked, match=str(tmp_path)):
        _open(tmp_path)
    spool.close()
    spool.close()
    _open(tmp_path).close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolUnusable, match="file"):
        _open(tmp_path / "file" / "spool")


def test_unflushed_events_are_offered_for_fsync_once(tmp_path: Path) -> None:
    spool = _open(tmp_path)
    assert spool.unflushed() == []
    spool.append(1, b"", b"x")
    descriptors = spool.unflushed()
    assert len(descriptors) == 1
    with open(descriptors[0], "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        assert b"x" in file.read()
    assert spool.unflushed() == []
    spool.close()


def test_with_fsync_always_nothing_is_left_unflushed(tmp_path: Path) -> None:
    spool = _open(tmp_path, fsync="always")
    spool.append(1, b"", b"x")
    assert spool.unflushed() == []
    spool.close()


def test_a_segment_that_is_full_takes_nothing_more(tmp_path: Path) -> None:
    segment = Segment(tmp_path / "1.spool", create_bytes=100)
    assert segment.append(1, b"", bytes(60)) == START
    assert segment.append(1, b"", b"") is None or segment.end <= segment.size
    assert segment.append(1, b"", bytes(60)) is None
    segment.close()


def test_the_first_place_of_an_empty_spool_sees_the_first_event(tmp_path: Path) -> None:
    spool = _open(tmp_path)
    first = spool.first()
    ticket = spool.append(1, b"", b"x")
    assert spool.next_ready(first) is not None
    assert (first.segment, first.position) <= (ticket.segment, ticket.position)
    assert spool.next_ready(Ticket(ticket.segment, ticket.position + 1000)) is None
    spool.close()
