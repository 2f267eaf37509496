"""``auditstream settings``: every setting with its value and where it comes from; the reference page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import click

from auditstream.output import format_option, print_rows
from auditstream.setting_fields import SettingField, plain_text
from auditstream.settings import LoadedSettings, Settings, read_settings, setting_fields

_BEGIN = "<!-- settings: written by `make docs` -->"
_END = "<!-- end of settings -->"
_COLUMNS = ("name", "value", "source", "default", "unit", "variable", "reason")

_INTRODUCTION = """# Settings

Every setting has one name. In the environment it is `AUDITSTREAM_<SECTION>_<KEY>`; in the TOML file that
`AUDITSTREAM_CONFIG` names it is `key` under `[section]`. The environment wins over the file. Lists are written in the
environment as JSON or with commas, tables as JSON or as `name=value` with commas. A name that is not in this list is an
error, and all problems are reported at once. `auditstream settings` shows the values in use and where they come from.

This page is written by `auditstream settings --docs`.
"""


@click.command(
    epilog="Example: AUDITSTREAM_WORKER_BATCH_ROWS=1000 auditstream settings --changed --format csv",
)
@click.option("--changed", is_flag=True, help="Only settings that are not at their default.")
@click.option("--docs", is_flag=True, help="Print the reference page in Markdown instead.")
@click.option(
    "--readme",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, writable=True),
    help="Write the short table into this file, between its markers.",
)
@format_option
def settings(*, changed: bool, docs: bool, readme: Path | None, fmt: str) -> None:
    """List every setting: value, where it comes from, default, unit and reason. Secrets print as stars."""
    if docs:
        click.echo(reference(), nl=False)
        return
    if readme is not None:
        readme.write_text(with_summary(readme.read_text(encoding="utf-8")), encoding="utf-8")
        return
    print_rows(_rows(read_settings(), only_changed=changed), _COLUMNS, fmt)


def _rows(loaded: LoadedSettings, *, only_changed: bool) -> Iterator[dict[str, object]]:
    for field in setting_fields().values():
        source = loaded.origins.get(field.name, "default")
        if only_changed and source == "default":
            continue
        yield {
            "name": field.name,
            "value": plain_text(loaded.value(field)),
            "source": source,
            "default": field.default,
            "unit": field.unit,
            "variable": field.variable,
            "reason": field.reason,
        }


def reference() -> str:
    """Return the reference page of all settings in Markdown."""
    parts = [_INTRODUCTION]
    for section, fields in groupby(setting_fields().values(), key=lambda field: field.section):
        parts.append(f"## {section}\n\n{_section_text(section)}\n\n{_table(fields)}")
    return "\n".join(parts)


def summary() -> str:
    """Return a table with the sections, the keys of each and their defaults, in Markdown."""
    lines = ["| Section | Keys, with their defaults |", "|---|---|"]
    for section, fields in groupby(setting_fields().values(), key=lambda field: field.section):
        keys = (f"`{field.key}` {f'= `{field.default}`' if field.default else ''}".rstrip() for field in fields)
        lines.append(f"| `{section}` | " + ", ".join(keys).replace("|", "\\|") + " |")
    return "\n".join(lines) + "\n"


def with_summary(text: str) -> str:
    """Return a text with the short table between its markers.

    Raises:
        click.UsageError: It has no markers.
    """
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise click.UsageError(f"the file has no lines {_BEGIN!r} and {_END!r}")
    return f"{before}{_BEGIN}\n\n{summary()}\n{_END}{after}"


def _section_text(section: str) -> str:
    model = Settings.model_fields["validate_" if section == "validate" else section].annotation
    return (getattr(model, "__doc__", None) or "").strip()


def _table(fields: Iterable[SettingField]) -> str:
    lines = ["| Variable | Type | Default | Meaning |", "|---|---|---|---|"]
    for field in fields:
        default = f"`{field.default}`" if field.default else ""
        unit = f" ({field.unit})" if field.unit else ""
        cells = (f"`{field.variable}`", f"{field.kind}{unit}", default, field.reason)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
