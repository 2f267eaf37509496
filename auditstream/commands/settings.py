"""``auditstream settings``: every setting with its value and where it comes from; the reference page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import click

from auditstream.output import format_option, print_rows
from auditstream.setting_fields import SettingField, plain_text
from auditstream.settings import LoadedSettings, Settings, read_settings, setting_fields

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
@format_option
def settings(*, changed: bool, docs: bool, fmt: str) -> None:
    """List every setting: value, where it comes from, default, unit and reason. Secrets print as stars."""
    if docs:
        click.echo(reference(), nl=False)
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
