"""``auditstream generate``: a realistic, repeatable load."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from auditstream.settings import Settings, load_settings
from producers import InvalidEvent
from producers.generator import KINDS, EventGenerator, Generated
from producers.publisher import Published, Publisher
from schemas.catalogue import Catalogue
from schemas.columns import avro_schema
from schemas.errors import CatalogueError, SchemaError
from schemas.registry import open_registry, value_subject


@click.command(epilog="Example: auditstream generate --count 100000 --rate 5000 --seed 7 --bad-share 0.01")
@click.option(
    "--count",
    type=click.IntRange(min=0),
    default=10_000,
    show_default=True,
    help="Messages to send; 0 goes on until stopped.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Messages a second; 0 is as fast as it goes.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed and start give the same messages.")
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]),
    help="Time of the first event, with offset.  [default: so that the load ends now]",
)
@click.option(
    "--bad-share",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Share of messages that are wrong in a known way.",
)
@click.option(
    "--tenants",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Number of tenants, the first the largest.",
)
@click.option("--kinds", default=",".join(KINDS), show_default="all", help="Record kinds, with commas.")
@click.option("--actors", is_flag=True, help="Send the cards of the actors to kafka.actors_topic first.")
@click.option("--topic", help="Topic to send to.  [default: kafka.events_topic]")
def generate(
    *,
    count: int,
    rate: float,
    seed: int,
    start: datetime | None,
    bad_share: float,
    tenants: int,
    kinds: str,
    actors: bool,
    topic: str | None,
) -> None:
    """Send a load of every record kind to Kafka, and print as JSON what must become of it.

    `stored` and `dead_letter` count the fates expected under default settings; `reasons` counts the damage.
    """
    settings = load_settings(kafka={"events_topic": topic}) if topic else load_settings()
    step_us = int(1_000_000 / rate) if rate else 1000
    begin = start or datetime.now(UTC) - (timedelta() if rate else timedelta(microseconds=count * step_us))
    try:
        catalogue = Catalogue.load(settings.catalogue.files, retention_classes=settings.retention.classes)
        events_id, actors_id = _schema_ids(settings)
        generator = EventGenerator(
            seed,
            schema_id=events_id,
            start=begin,
            catalogue=catalogue,
            step_us=step_us,
            bad_share=bad_share,
            tenants=tenants,
            kinds=kinds.split(","),
        )
        summary = _send(settings, generator, count, rate, actors_id if actors else None)
    except (InvalidEvent, CatalogueError) as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except SchemaError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    click.echo(orjson.dumps(summary).decode())
    sys.exit(1 if summary["failed"] else 0)


def _schema_ids(settings: Settings) -> tuple[int, int]:
    registry = open_registry(settings.registry)
    ask = registry.register if settings.producer.auto_register else registry.id_of
    try:
        return (
            ask(value_subject(settings.kafka.events_topic), avro_schema("audit_event", 1)),
            ask(value_subject(settings.kafka.actors_topic), avro_schema("actor", 1)),
        )
    finally:
        registry.close()


def _send(
    settings: Settings, generator: EventGenerator, count: int, rate: float, actors_id: int | None
) -> dict[str, object]:
    fates: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    began = time.monotonic()
    with Publisher(settings.kafka, settings.producer) as publisher, _progress() as progress:
        if actors_id is not None:
            for key, value in generator.actor_messages(actors_id):
                publisher.publish(settings.kafka.actors_topic, key, value)
        cards = publisher.published
        task = progress.add_task("generating", total=count or None)
        try:
            for number, item in enumerate(_paced(generator, count, rate, began), 1):
                publisher.publish(settings.kafka.events_topic, item.key, item.value, item.headers)
                fates[item.expected] += 1
                reasons[item.kind or "good"] += 1
                progress.update(task, completed=number)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
    result: Published = publisher.result()
    return {
        "produced": result.acknowledged - cards,
        "failed": result.failed,
        "first_failure": result.first_failure,
        "cards": cards,
        **{fate: fates[fate] for fate in ("stored", "dead_letter")},
        "reasons": dict(sorted(reasons.items())),
        "seconds": round(time.monotonic() - began, 3),
    }


def _paced(generator: EventGenerator, count: int, rate: float, began: float) -> Iterator[Generated]:
    items = islice(generator, count) if count else iter(generator)
    for number, item in enumerate(items):
        ahead_s = number / rate - (time.monotonic() - began) if rate else 0.0
        # Short sleeps cost more than they wait; a few milliseconds of burst are no harm.
        if ahead_s > 0.005:
            time.sleep(ahead_s)
        yield item


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
