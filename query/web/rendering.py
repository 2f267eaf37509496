"""Templates: one environment for all pages, escaping everything, refusing unknown names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from query.web import texts
from query.web.static_files import StaticFiles


class Templates:
    """Renders templates of ``query/web/templates``. Thread-safe."""

    def __init__(self, static: StaticFiles) -> None:
        """Prepare the environment.

        Args:
            static: Where addresses of static files come from.
        """
        self._environment = Environment(
            loader=PackageLoader("query.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals["static"] = static.url
        self._environment.filters.update(
            safe_text=texts.bidi_safe,
            visible=texts.visible,
            number=texts.number,
            duration=texts.duration,
            size=texts.size,
            words=texts.words,
            joined=texts.joined,
            moment=_moment,
            moment_text=_moment_text,
            extract=_extract,
        )

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """Return a template with its values.

        Raises:
            jinja2.TemplateError: The template is wrong, or names something that it does not get.
        """
        return self._environment.get_template(name).render(context)


@pass_context
def _moment(context: Context, value: datetime | None, *, fraction: bool = True) -> Markup:
    """Write a moment in the zone of the visit."""
    return texts.moment(value, context["zone"].zone, fraction=fraction)


@pass_context
def _moment_text(context: Context, value: datetime) -> str:
    """Write a moment as plain text in the zone of the visit, to the minute."""
    return f"{value.astimezone(context['zone'].zone):%Y-%m-%d %H:%M}"


def _extract(name: str, row: Mapping[str, Any]) -> object:
    """Take one field of a row: ``names | map("extract", row)``."""
    return row[name]
