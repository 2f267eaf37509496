"""The fuzzer finds what it looks for: wrong values, wrong errors, dead processes."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import fuzz_decoder
from avro_reference import Disagreement, Reference, check, decode_arrays, mutate, write
from avro_schemas import event
from consumers.batch import Decoded
from consumers.decode import DecodeError, Decoder

EVENT = fuzz_decoder.EVENT
SCRIPT = Path(fuzz_decoder.__file__)


@pytest.fixture(scope="module")
def bodies() -> list[bytes]:
    chance = random.Random(3)
    whole = [write(EVENT, event(chance, EVENT)) for _ in range(60)]
    return whole + [mutate(chance, b) for b in whole]


@pytest.fixture(scope="module")
def decoded(bodies: list[bytes]) -> Decoded:
    decoder = Decoder(fuzz_decoder.WRITER, fuzz_decoder.DICTIONARY_COLUMNS, checked=True)
    decoder.add_writer(7, fuzz_decoder.WRITER)
    return decode_arrays(decoder, bodies)


REFERENCE = Reference(EVENT, EVENT)


def test_what_is_alike_is_counted(bodies: list[bytes], decoded: Decoded) -> None:
    counts = check(decoded, REFERENCE, bodies)
    assert counts["accepted"] == len(decoded.rows) >= 60
    assert counts["unskipped"] == 0
    assert counts.total() == len(bodies)


def _last_but_one(array: pa.Array, value: object) -> pa.Array:
    values = array.to_pylist()
    return pa.array([*values[:-2], value, values[-1]], array.type)


def _other(array: pa.Array) -> object:
    """Return another value of the array's type for the last but one, as near as can be."""
    value, is_a = array[-2].as_py(), pa.types
    if is_a.is_boolean(array.type):
        return not value
    if is_a.is_float64(array.type):
        return 0.5 if value else -(value or 0.0)
    if is_a.is_integer(array.type):
        return (value or 0) ^ 1
    if is_a.is_string(array.type):
        return value + "\0"
    return value[:-1] if value else [("k", "v")] if is_a.is_map(array.type) else [None]


def _without_dictionaries(array: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        return array.dictionary_decode()
    if pa.types.is_list(array.type) and pa.types.is_dictionary(array.type.value_type):
        return array.cast(pa.list_(pa.string()))
    return array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array


def test_one_wrong_value_in_any_column_is_found(bodies: list[bytes], decoded: Decoded) -> None:
    kinds = set()
    for path, array in decoded.columns.items():
        plain = _without_dictionaries(array)
        wrong_array = _last_but_one(plain, _other(plain))
        wrong = replace(decoded, columns={**decoded.columns, path: wrong_array})
        with pytest.raises(Disagreement, match=rf"^{re.escape(path)}: ours ") as caught:
            check(wrong, REFERENCE, bodies)
        assert caught.value.index == decoded.rows[-2]
        kinds.add(str(plain.type))
    assert kinds >= {"string", "int32", "int64", "bool", "double", "map<string, string>", "list<item: string>"}


def test_a_zero_of_the_other_sign_is_found(bodies: list[bytes], decoded: Decoded) -> None:
    array = decoded.columns["run.value_num"]
    values = array.to_pylist()
    at = next(i for i, v in enumerate(values) if v == 0)
    values[at] = -values[at]
    wrong = replace(decoded, columns={**decoded.columns, "run.value_num": pa.array(values, array.type)})
    with pytest.raises(Disagreement, match=r"^run.value_num: ours -?0.0"):
        check(wrong, REFERENCE, bodies)


def test_a_message_too_many_is_found(bodies: list[bytes], decoded: Decoded) -> None:
    errors = decoded.errors.copy()
    at = next(i for i, e in enumerate(errors) if e)
    errors[at] = 0
    with pytest.raises(Disagreement, match="only the decoder accepts it") as caught:
        check(replace(decoded, errors=errors), REFERENCE, bodies)
    assert caught.value.index == at


@pytest.mark.parametrize("error", [DecodeError.eof, DecodeError.utf8, DecodeError.trailing_bytes])
def test_a_message_too_few_is_found_unless_the_error_is_a_stricter_one(
    bodies: list[bytes], decoded: Decoded, error: DecodeError
) -> None:
    errors = decoded.errors.copy()
    errors[5] = error
    with pytest.raises(Disagreement, match=f"only fastavro accepts it, the decoder says {error.name}"):
        check(replace(decoded, errors=errors), REFERENCE, bodies)


def test_rows_that_do_not_belong_to_the_messages_without_error_are_found(bodies: list[bytes], decoded: Decoded) -> None:
    rows = decoded.rows.copy()
    rows[[3, 4]] = rows[[4, 3]]
    with pytest.raises(AssertionError, match="rows and errors"):
        check(replace(decoded, rows=rows), REFERENCE, bodies)


def test_a_list_is_skipped_by_its_items_and_only_so_may_fastavro_differ() -> None:
    items = {"name": "items", "type": {"type": "array", "items": "string"}}
    count = {"name": "count", "type": "long"}
    written = {"type": "record", "name": "Written", "fields": [items, count]}
    read = {"type": "record", "name": "Written", "fields": [count]}
    decoder = Decoder(read, checked=True)
    decoder.add_writer(7, written)
    # A block of one item that says its size: rightly, wrongly, and wrongly with an item that is not UTF-8.
    bodies = [b"\1\4\2x\0\16", b"\1\6\2x\0\16", b"\1\6\2\xff\0\16"]
    reference = Reference(written, read)
    assert [reference.read(b) is None for b in bodies] == [False, True, True]
    result = decode_arrays(decoder, bodies)
    assert check(result, reference, bodies) == {"accepted": 3, "unskipped": 2}
    wrong = replace(result, columns={"count": pa.array([7, 7, 8])})
    with pytest.raises(Disagreement, match="count: ours 8, fastavro's 7") as caught:
        check(wrong, reference, bodies)
    assert caught.value.index == 2


def _changed(fields: Callable[[list[Any]], list[Any]]) -> Any:
    return fuzz_decoder.WRITER | {"fields": fields(list(fuzz_decoder.WRITER["fields"]))}


def test_a_failure_names_the_seed_and_the_body_and_the_seed_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # The decoder takes the first field for the last one, which is a string too.
    last = fuzz_decoder.WRITER["fields"][-1]["name"]
    swapped = _changed(lambda f: [f[0] | {"name": last}, *f[1:-1], f[-1] | {"name": f[0]["name"]}])
    monkeypatch.setattr(fuzz_decoder, "WRITER", swapped)
    stories = []
    for _ in range(2):
        with pytest.raises(fuzz_decoder.Failure, match=r"^event_id: ours ") as failed:
            fuzz_decoder.run_round(17, 100)
        stories.append(str(failed.value))
    assert stories[0] == stories[1]
    told = re.search(r"input (\d+) of the round of seed 17; repeat with .* --seed 17\n  body ([0-9a-f]+)$", stories[0])
    assert told
    chance = random.Random(17)
    chance.randrange(fuzz_decoder.EVOLVED_EVERY)
    chance.choice(fuzz_decoder.DICTIONARY_ENTRIES)
    assert fuzz_decoder.inputs(chance, 100)[int(told[1])].hex() == told[2]


def test_a_decoder_that_does_not_read_the_last_field_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_decoder, "WRITER", _changed(lambda f: f[:-1]))
    with pytest.raises(fuzz_decoder.Failure, match="only fastavro accepts it, the decoder says trailing_bytes"):
        fuzz_decoder.run_round(17, 100)


def test_where_the_decoder_raises_the_body_that_makes_it_is_searched() -> None:
    def read(body: bytes) -> None:
        if body == b"c":
            raise ValueError(body)

    assert fuzz_decoder.first_that_fails([b"a", b"b", b"c", b"c"], read) == 2
    assert fuzz_decoder.first_that_fails([b"a", b"b"], read) is None


def test_the_inputs_of_a_few_batches_let_dictionaries_grow_and_start_again() -> None:
    chance = random.Random(8)
    fewest = min(fuzz_decoder.DICTIONARY_ENTRIES)
    decoder = Decoder(fuzz_decoder.WRITER, fuzz_decoder.DICTIONARY_COLUMNS, max_dictionary_entries=fewest, checked=True)
    decoder.add_writer(7, fuzz_decoder.WRITER)
    batches = [decode_arrays(decoder, fuzz_decoder.inputs(chance, 1000)) for _ in range(4)]
    for path in ("tenant_id", "user_agent", "actor_roles"):
        assert batches[-1].generations[path] > batches[0].generations[path]
    # More words than a dictionary has room for at first: 4096 bytes.
    assert max(batch.columns["user_agent"].dictionary.nbytes for batch in batches) > 5000


def test_rounds_are_divided_without_a_gap_and_all_have_seeds_of_their_own() -> None:
    total = 3 * fuzz_decoder.ROUND_INPUTS + 7
    alone = list(fuzz_decoder.rounds(total, 17))
    assert sum(count for _, count in alone) == total
    assert len({seed for seed, _ in alone}) == 4
    assert alone[0][0] == 17
    shared = [*fuzz_decoder.rounds(total, 17, 0, 2), *fuzz_decoder.rounds(total, 17, 1, 2)]
    assert sorted(shared) == sorted(alone)


def test_the_command_counts_every_input_in_its_last_line() -> None:
    command = [sys.executable, str(SCRIPT), "--inputs", "24000", "--processes", "2", "--seed", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"inputs 24000; accepted by both [1-9].*; seconds [\d.]+", done.stdout.splitlines()[-1])


@pytest.mark.parametrize("wrong", [["--inputs", "0"], ["--processes", "none"], ["--unknown"]])
def test_wrong_usage_ends_with_2(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fuzz_decoder.main(wrong)
    assert ended.value.code == 2


def test_a_process_that_dies_is_a_failure_with_its_last_seed() -> None:
    command = [sys.executable, str(SCRIPT), "--inputs", "1000000000", "--processes", "1", "--seed", "5"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert run.stderr is not None
    assert run.stdout is not None
    try:
        began = re.fullmatch(r"process (\d+) began\n", run.stderr.readline())
        assert began
        # What the decoder's own log says on its first batch: a round has begun.
        run.stdout.readline()
        os.kill(int(began[1]), signal.SIGSEGV)
        out, _ = run.communicate(timeout=60)
    finally:
        run.kill()
        run.communicate()
    assert run.returncode == 1
    assert re.search(r"process \d+ died, exit code -11, in the batch from input \d+ of the round of seed \d+", out)
    assert out.splitlines()[-1].startswith("inputs ")
