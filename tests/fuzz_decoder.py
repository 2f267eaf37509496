"""Fuzz the decoder: mutated audit events must be read as fastavro reads them, to the last value.

    python tests/fuzz_decoder.py --inputs 10000000 --processes 2 --seed 17

The inputs are cut into rounds, each with a seed and a decoder of its own; every decoder compares each access to memory
with its bounds. One round in five reads with an evolved schema: fields are missing, in another order, promoted or added.
The seed of the first round is the seed of the run, so that ``--seed`` with the seed of a failed round repeats it.

Exit code 0: alike. 1: a disagreement, or a process that died or hung. 2: wrong usage.
"""

from __future__ import annotations

import argparse
import copy
import faulthandler
import gc
import hashlib
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from avro_reference import Disagreement, Reference, compare_in_bulk, decode_arrays, mutate, write
from avro_schemas import event, without_logical_types
from consumers.decode import Decoder
from consumers.decode.decoder import MAX_DICTIONARY_ENTRIES
from schemas.columns import avro_schema

WRITER = avro_schema("audit_event", 1)
EVENT = without_logical_types(WRITER)
ROUND_INPUTS = 20_000
BATCH_INPUTS = 4000
#: Bodies that the inputs of one batch are mutations of.
POOL = 40
#: Longer bodies would be mutated in one place of a long text, mostly.
MAX_BODY_BYTES = 100_000
#: With the smaller one dictionaries start again within a round.
DICTIONARY_ENTRIES = (30, MAX_DICTIONARY_ENTRIES)
DICTIONARY_COLUMNS = frozenset({"tenant_id", "user_agent", "actor_roles"})
EVOLVED_EVERY = 5
PROMOTIONS = {"int": ["int", "long", "double"], "long": ["long", "double"]}
PROGRESS_SECONDS = 10.0
#: A batch takes less than a second, and compiling the decoder about a minute.
HANGS_SECONDS = 300.0

Report = Callable[[str, Any], None]


class Failure(Exception):
    """The readers differ, or the decoder failed; the text says where and how to repeat it."""


# One round


def evolved_reader(chance: random.Random, kind: Any) -> Any:
    """Return a schema that reads what ``kind`` writes, by other columns."""
    if isinstance(kind, list):
        return [evolved_reader(chance, k) for k in kind]
    if isinstance(kind, str):
        return chance.choice(PROMOTIONS.get(kind, [kind]))
    kind = copy.deepcopy(kind)
    if kind["type"] == "record":
        kept = [f for f in kind["fields"] if chance.random() < 0.6]
        fields = [f | {"type": evolved_reader(chance, f["type"])} for f in kept or kind["fields"][:1]]
        for f in fields:
            f.pop("default", None)
        added = {"name": "added", "type": ["null", "string"], "default": None}
        kind["fields"] = chance.sample([*fields, added], len(fields) + 1)
    elif kind["type"] == "array":
        kind["items"] = evolved_reader(chance, kind["items"])
    return kind


def _audit_event(chance: random.Random) -> Any:
    """Return a random event, half of them with texts that no other has, so that dictionaries grow."""
    value = event(chance, EVENT)
    if chance.randrange(2):
        value["tenant_id"], value["user_agent"], *value["actor_roles"] = (
            chance.randbytes(chance.randrange(200)).hex() for _ in range(chance.randrange(2, 6))
        )
    return value


def inputs(chance: random.Random, count: int) -> list[bytes]:
    """Return mutations of a fresh pool of random audit events."""
    pool = [b for b in (write(EVENT, _audit_event(chance)) for _ in range(POOL)) if len(b) < MAX_BODY_BYTES]
    return [mutate(chance, chance.choice(pool)) for _ in range(count)]


def run_round(seed: int, count: int, report: Report = lambda _what, _value: None) -> Counter[str]:
    """Fuzz with one decoder.

    Args:
        seed: What the inputs depend on, and nothing else does.
        count: Inputs.
        report: Is told of every batch that begins, ``batch``, and of what was counted in it, ``counts``.

    Returns:
        What ``compare_in_bulk`` counts, and the inputs.

    Raises:
        Failure: With the seed and the body that did it.
    """
    chance = random.Random(seed)
    evolves = chance.randrange(EVOLVED_EVERY) == 0
    reader = evolved_reader(chance, EVENT) if evolves else EVENT
    words = DICTIONARY_COLUMNS & {f["name"] for f in reader["fields"]}
    entries = chance.choice(DICTIONARY_ENTRIES)

    def decoder() -> Decoder:
        opened = Decoder(reader if evolves else WRITER, words, max_dictionary_entries=entries, checked=True)
        opened.add_writer(7, EVENT if evolves else WRITER)
        return opened

    reference, ours = Reference(EVENT, reader), decoder()
    total: Counter[str] = Counter()
    for begin in range(0, count, BATCH_INPUTS):
        report("batch", (seed, begin))
        bodies = inputs(chance, min(BATCH_INPUTS, count - begin))
        try:
            counts = compare_in_bulk(ours, reference, bodies)
        except Disagreement as error:
            raise Failure(_story(seed, begin + error.index, str(error), bodies[error.index])) from error
        except Exception as error:
            guilty = first_that_fails(bodies, lambda body: decode_arrays(decoder(), [body]))
            what = f"{type(error).__name__}: {error}"
            raise Failure(
                _story(seed, begin, f"{what} (no single body fails alone)", b"")
                if guilty is None
                else _story(seed, begin + guilty, what, bodies[guilty])
            ) from error
        counts["inputs"] = len(bodies)
        report("counts", counts)
        total += counts
    return total


def first_that_fails(bodies: Sequence[bytes], read: Callable[[bytes], object]) -> int | None:
    """Return which body makes ``read`` raise when it is alone."""
    for index, body in enumerate(bodies):
        try:
            read(body)
        except Exception:
            return index
    return None


def _story(seed: int, index: int, what: str, body: bytes) -> str:
    return (
        f"{what}\n  input {index} of the round of seed {seed};"
        f" repeat with --processes 1 --inputs {ROUND_INPUTS} --seed {seed}\n  body {body.hex()}"
    )


# Rounds over processes


def seed_of_round(seed: int, number: int) -> int:
    """Return the seed of a round; the first has the run's own."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:6]) if number else seed


def rounds(total: int, seed: int, first: int = 0, step: int = 1) -> Iterator[tuple[int, int]]:
    """Yield seed and inputs of every ``step``-th round of a run."""
    for number in range(first, -(-total // ROUND_INPUTS), step):
        yield seed_of_round(seed, number), min(ROUND_INPUTS, total - number * ROUND_INPUTS)


def _work(channel: Connection, total: int, seed: int, first: int, step: int) -> None:
    faulthandler.enable()
    # Records have no cycles, and looking for some among millions of values costs more than reading them.
    gc.disable()
    try:
        for round_seed, count in rounds(total, seed, first, step):
            run_round(round_seed, count, lambda what, value: channel.send((what, value)))
            gc.collect()
    except Failure as failure:
        channel.send(("failure", str(failure)))


@dataclass
class Worker:
    """A process, and what is known of it.

    Attributes:
        process: It.
        channel: Where it reports.
        place: Seed of its round and first input of its batch, once it has begun one.
        heard: When it last reported, by ``time.monotonic``.
    """

    process: BaseProcess
    channel: Connection
    place: tuple[int, int] | None = None
    heard: float = field(default_factory=time.monotonic)

    def where(self) -> str:
        """Say what it was doing."""
        if self.place is None:
            return "before its first batch"
        seed, begin = self.place
        return f"in the batch from input {begin} of the round of seed {seed}"


class Fuzz:
    """A run in several processes.

    Attributes:
        counts: What was counted so far.
        failures: What went wrong, in words.
    """

    def __init__(self, total: int, processes: int, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self._total = total
        self._began = self._told = time.monotonic()
        self._workers = [self._start(total, seed, k, processes) for k in range(processes)]

    @staticmethod
    def _start(total: int, seed: int, first: int, step: int) -> Worker:
        context = multiprocessing.get_context("spawn")
        channel, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(theirs, total, seed, first, step), daemon=True)
        process.start()
        theirs.close()
        print(f"process {process.pid} began", file=sys.stderr, flush=True)
        return Worker(process, channel)

    def run(self) -> bool:
        """Run to the end or to the first failure, and tell whether all was alike."""
        running = list(self._workers)
        try:
            while running and not self.failures:
                ready = wait([w.channel for w in running], timeout=1.0)
                running = [w for w in running if w.channel not in ready or self._hear(w)]
                self._watch(running)
        finally:
            for worker in self._workers:
                worker.process.terminate()
                worker.process.join()
        if not self.failures and self.counts["inputs"] != self._total:
            self.failures.append(f"{self.counts['inputs']} inputs of {self._total} were read")
        return not self.failures

    def _hear(self, worker: Worker) -> bool:
        """Take a report; False when there will be no more."""
        worker.heard = time.monotonic()
        try:
            what, value = worker.channel.recv()
        except EOFError:
            worker.process.join()
            if worker.process.exitcode:
                self.failures.append(
                    f"process {worker.process.pid} died, exit code {worker.process.exitcode}, {worker.where()}"
                )
            return False
        match what:
            case "batch":
                worker.place = value
            case "counts":
                self.counts += value
            case _:
                self.failures.append(value)
        return True

    def _watch(self, running: list[Worker]) -> None:
        now = time.monotonic()
        for worker in running:
            if now - worker.heard > HANGS_SECONDS:
                self.failures.append(
                    f"process {worker.process.pid} has said nothing for {HANGS_SECONDS:.0f} s, {worker.where()}"
                )
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            done, seconds = self.counts["inputs"], now - self._began
            print(f"{done:,} inputs, {done / seconds:,.0f} a second", file=sys.stderr, flush=True)

    def totals(self) -> str:
        """Return the line that sums the run up."""
        counts = dict(self.counts)
        read, accepted, unskipped, refused = (counts.pop(k, 0) for k in ("inputs", "accepted", "unskipped", "refused"))
        stricter = ", ".join(f"{name} {n}" for name, n in sorted(counts.items())) or "none"
        return (
            f"inputs {read}; accepted by both {accepted} (fastavro {unskipped} of them only without skipping); refused by both {refused}; "
            f"refused by the decoder only: {stricter}; seconds {time.monotonic() - self._began:.1f}"
        )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description="Fuzz the decoder against fastavro.")
    parser.add_argument("--inputs", type=_positive, default=1_000_000, help="mutated messages to read")
    parser.add_argument("--processes", type=_positive, default=2, help="processes to spread them over")
    parser.add_argument("--seed", type=int, default=17, help="the same seed makes the same inputs")
    options = parser.parse_args(arguments)
    fuzz = Fuzz(options.inputs, options.processes, options.seed)
    alike = fuzz.run()
    for failure in fuzz.failures:
        print(failure)
    print(fuzz.totals())
    return 0 if alike else 1


if __name__ == "__main__":
    sys.exit(main())
