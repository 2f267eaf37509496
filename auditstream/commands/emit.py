"""``auditstream emit``: events from JSON lines to Kafka."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from auditstream.settings import Settings, load_settings
from producers import AuditProducer, DeliveryFailed, InvalidEvent, ProducerError, ProducerMisconfigured, SpoolFull
from schemas.errors import SchemaError

_BOM = b"\xef\xbb\xbf"
#: Reported on the terminal at most; all of them are in the file of --errors.
_SHOWN = 20


@click.command(epilog="Example: auditstream emit events.ndjson --errors bad.ndjson")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--topic", help="Topic to emit to.  [default: kafka.events_topic]")
@click.option(
    "--errors",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the lines that failed in this file, as they were read.",
)
def emit(file: BinaryIO, topic: str | None, errors: Path | None) -> None:
    """Emit one event for each line of JSON in FILE, or in the standard input.

    A line holds one object with the field names of the Avro schema. A line that is wrong, or that Kafka does not
    acknowledge, is reported with its number and the reason, and the others go on. Exit code 1 if there was any.
    """
    settings = load_settings(kafka={"events_topic": topic}) if topic else load_settings()
    try:
        failed = _run(settings, file, errors)
    except ProducerMisconfigured as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except (ProducerError, SchemaError, OSError) as error:
        click.echo(f"nothing more was emitted: {error}", err=True)
        sys.exit(1)
    sys.exit(1 if failed else 0)


def _run(settings: Settings, file: BinaryIO, errors: Path | None) -> int:
    with _Failures(errors) as failures, _progress() as progress:
        task = progress.add_task("emitting", total=None)
        with AuditProducer(settings.kafka, settings.registry, settings.producer) as producer:
            _emit_all(producer, file, failures, progress, task)
            producer.flush(settings.producer.delivery_timeout_s)
    # Only when the producer has closed is the fate of every line known.
    failures.tell()
    counts = producer.counts()
    spooled = f", {counts.spooled} wait in the spool" if counts.spooled else ""
    click.echo(f"{counts.acknowledged} acknowledged, {failures.count} failed{spooled}", err=True)
    return failures.count


def _emit_all(producer: AuditProducer, file: BinaryIO, failures: _Failures, progress: Progress, task: TaskID) -> None:
    for number, line in _lines(file):
        progress.advance(task)
        try:
            _emit_one(producer, number, line, failures)
        except (InvalidEvent, DeliveryFailed, SpoolFull, orjson.JSONDecodeError) as error:
            failures.add(number, line, _reason(error))
    progress.update(task, total=progress.tasks[task].completed)


def _emit_one(producer: AuditProducer, number: int, line: bytes, failures: _Failures) -> None:
    event = orjson.loads(line)
    if not isinstance(event, dict):
        raise InvalidEvent("line", event, "a JSON object")

    def settled(event_id: str, error: DeliveryFailed | None) -> None:
        del event_id
        if error is not None:
            failures.add(number, line, str(error))

    try:
        producer.submit(event, settled)
    except SpoolFull:
        producer.flush()
        producer.submit(event, settled)


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    for number, raw in enumerate(file, 1):
        line = raw.removeprefix(_BOM) if number == 1 else raw
        line = line.strip(b" \t\r\n")
        if line:
            yield number, line


def _reason(error: Exception) -> str:
    if isinstance(error, orjson.JSONDecodeError):
        return f"not JSON: {error.msg} at column {error.colno}"
    return str(error)


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


class _Failures:
    """Lines that failed: reported as they come up, kept in a file if asked for. Thread-safe."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("wb") if path else None
        self._lock = threading.Lock()
        self._kept: list[str] = []
        self.count = 0

    def __enter__(self) -> _Failures:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def add(self, number: int, line: bytes, reason: str) -> None:
        """Note one line.

        Args:
            number: Line number, from 1.
            line: The line as it was read, without its end.
            reason: Why it failed.
        """
        with self._lock:
            self.count += 1
            if len(self._kept) < _SHOWN:
                self._kept.append(f"line {number}: {reason}")
            if self._file:
                self._file.write(line + b"\n")

    def tell(self) -> None:
        """Print what failed."""
        for text in self._kept:
            click.echo(text, err=True)
        if self.count > len(self._kept):
            click.echo(f"… and {self.count - len(self._kept)} more", err=True)
