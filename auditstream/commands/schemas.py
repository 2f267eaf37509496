"""``auditstream schemas``: our Avro schemas and the registry."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click

from auditstream.output import format_option, print_rows
from auditstream.settings import Settings, load_settings
from schemas.compatibility import reads
from schemas.errors import RegistryRefused, SchemaError, SchemaInvalid, SchemaNotFound, SchemaUnsupported
from schemas.published import PublishedSchema, all_versions, changed_files, newest_by_topic
from schemas.registry import Compatibility, Registry, Schema, open_registry, value_subject

_LEVELS: tuple[Compatibility, ...] = ("BACKWARD", "BACKWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE")
_KEEP = "keep"
_REGISTERED = ("subject", "schema", "schema_id", "state")
_PROBLEMS = ("subject", "schema", "problem")
_VERSIONS = ("subject", "version", "schema_id", "record", "published_as")
_PUBLISHED = ("schema", "version", "file", "sha256")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@contextmanager
def _told() -> Iterator[None]:
    # The one place that turns an error of the contract into words and an exit code.
    try:
        yield
    except RegistryRefused as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    except SchemaError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def _label(published: PublishedSchema) -> str:
    return f"{published.name} v{published.version}"


@click.group(
    epilog="""\b
Examples:
  auditstream schemas check
  auditstream schemas register
  auditstream schemas list --format json"""
)
def schemas() -> None:
    """Register our Avro schemas, check them, and list what a registry has."""


@schemas.command(
    epilog="""\b
Examples:
  auditstream schemas register
  AUDITSTREAM_REGISTRY_URL=http://registry:8081 auditstream schemas register --compatibility keep"""
)
@click.option(
    "--compatibility",
    type=click.Choice([*_LEVELS, _KEEP]),
    default="BACKWARD",
    show_default=True,
    help="Level to set on each subject first; keep leaves it as it is.",
)
@format_option
def register(compatibility: Compatibility, fmt: str) -> None:
    """Register the newest schemas under the subjects of the topics; repeating it changes nothing."""
    settings = load_settings()
    with _told(), closing(open_registry(settings.registry)) as registry:
        rows = [
            _register(registry, value_subject(topic), published, compatibility)
            for topic, published in newest_by_topic(settings.kafka).items()
        ]
        print_rows(rows, _REGISTERED, fmt)


def _register(registry: Registry, subject: str, published: PublishedSchema, level: Compatibility) -> dict[str, object]:
    if level in _LEVELS:
        registry.set_compatibility(subject, level)
    state = "registered before" if _is_registered(registry, subject, published) else "registered"
    schema_id = registry.register(subject, published.schema)
    return {"subject": subject, "schema": _label(published), "schema_id": schema_id, "state": state}


def _is_registered(registry: Registry, subject: str, published: PublishedSchema) -> bool:
    try:
        registry.id_of(subject, published.schema)
    except SchemaNotFound:
        return False
    return True


@schemas.command(
    epilog="""\b
Examples:
  auditstream schemas check --offline
  auditstream schemas check --file new.avsc --subject audit.events-value"""
)
@click.option("--offline", is_flag=True, help="Do not ask the registry: compare our published versions only.")
@click.option("--file", type=_FILE, help="Check this schema instead of our newest ones.")
@click.option("--subject", help="Subject for --file, for example audit.events-value.")
@format_option
def check(*, offline: bool, file: Path | None, subject: str | None, fmt: str) -> None:
    """Check that new schemas read what was written with earlier ones.

    Compares our published versions with each other and with their digests, and our newest ones with the registry.
    Exit codes: 0 all is well, 1 problems were found or the registry is away, 2 wrong usage or settings.
    """
    if (file is None) != (subject is None):
        raise click.UsageError("--file and --subject belong together")
    if file is not None and offline:
        raise click.UsageError("--file is compared with the registry: it does not go with --offline")
    with _told():
        found = _own_problems(load_settings(), offline=offline)
        if file is not None and subject is not None:
            found = _file_problems(load_settings(), file, subject)
        rows = list(found)
        print_rows(rows, _PROBLEMS, fmt)
    click.echo(f"{len(rows)} problem(s)" if rows else "no problems", err=True)
    sys.exit(1 if rows else 0)


def _file_problems(settings: Settings, file: Path, subject: str) -> Iterator[dict[str, object]]:
    with closing(open_registry(settings.registry)) as registry:
        yield from _rows(subject, file.name, registry.check_compatibility(subject, _read(file)))


def _own_problems(settings: Settings, *, offline: bool) -> Iterator[dict[str, object]]:
    yield from _rows("", "published files", changed_files())
    yield from _published_problems()
    if not offline:
        yield from _registry_problems(settings)


def _published_problems() -> Iterator[dict[str, object]]:
    published = all_versions()
    for reader in published:
        for writer in (p for p in published if p.name == reader.name and p.version < reader.version):
            yield from _rows("", f"{_label(reader)} reads v{writer.version}", reads(reader.schema, writer.schema))


def _registry_problems(settings: Settings) -> Iterator[dict[str, object]]:
    with closing(open_registry(settings.registry)) as registry:
        for topic, published in newest_by_topic(settings.kafka).items():
            subject = value_subject(topic)
            yield from _rows(subject, _label(published), registry.check_compatibility(subject, published.schema))


def _rows(subject: str, schema: str, problems: Iterable[str]) -> Iterator[dict[str, object]]:
    return ({"subject": subject, "schema": schema, "problem": p} for p in problems)


def _read(file: Path) -> Schema:
    try:
        schema: Schema = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SchemaInvalid(str(file), f"not JSON: {error}") from error
    return schema


@schemas.command(
    "list",
    epilog="""\b
Examples:
  auditstream schemas list
  auditstream schemas list --published""",
)
@click.option("--published", is_flag=True, help="List the versions that ship with auditstream, without a registry.")
@format_option
def list_schemas(*, published: bool, fmt: str) -> None:
    """List the newest version of every subject of the registry, and which of ours it is."""
    if published:
        ours = ({"schema": p.name, "version": p.version, "file": p.file, "sha256": p.sha256} for p in all_versions())
        print_rows(ours, _PUBLISHED, fmt)
        return
    with _told(), closing(open_registry(load_settings().registry)) as registry:
        print_rows([_latest(registry, s) for s in registry.subjects()], _VERSIONS, fmt)


def _latest(registry: Registry, subject: str) -> dict[str, object]:
    try:
        latest = registry.latest(subject)
    except (SchemaNotFound, SchemaInvalid, SchemaUnsupported) as error:
        # A subject of others, in JSON Schema for instance, must not hide ours.
        return {"subject": subject, "record": f"({error})"}
    ours = next((_label(p) for p in all_versions() if p.schema == latest.schema), "")
    names = (latest.schema.get("namespace"), latest.schema.get("name"))
    return {
        "subject": subject,
        "version": latest.version,
        "schema_id": latest.schema_id,
        "record": ".".join(n for n in names if n),
        "published_as": ours,
    }
