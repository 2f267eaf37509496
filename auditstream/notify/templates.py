"""Texts of notifications from templates; the only module of the notifier that knows Jinja."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from auditstream.notify.events import blank_event, sample_event
from auditstream.output import escape_text
from query.access.view import TITLE
from query.errors import nearest
from query.fields import Row

#: What helps against values that an event need not have.
_HINT = 'write event.details.get("key", "-") or event.ip or "-" for what may be missing'
TITLE_CHARACTERS = 250
TEXT_CHARACTERS = 32_000
#: Events that one message shows; it says how many more there are.
SHOWN_EVENTS = 100

DEFAULT_TITLE = "{{ event.title }}"
DEFAULT_TEXT = """\
{{ event.title }}

Time: {{ event.occurred_at | local }}
Tenant: {{ event.tenant_id }}
Actor: {{ event.actor_name or event.actor_login or event.actor_id or "-" }}
From: {{ event.ip or "-" }}
Outcome: {{ event.outcome or "-" }}
Event: {{ event.event_id }}
"""
DEFAULT_DIGEST_TITLE = "{{ rule }}: {{ count }} events"
DEFAULT_DIGEST_TEXT = """\
{% for item in items %}
{{ item.text }}

{% endfor %}
{% if count > items | length %}
and {{ count - items | length }} more: auditstream notify log --message {{ message }}
{% endif %}
"""


class TemplateWrong(ValueError):
    """A template cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Text:
    """What is said of one event, or of several together.

    Attributes:
        title: One line.
        text: Lines.
    """

    title: str
    text: str


class Templates:
    """The templates of one rule, checked.

    Args:
        sources: Source by name: ``title``, ``text``, ``digest_title``, ``digest_text``, ``key``; without some of them
            the defaults.
        rule: Name of the rule.
        zone: Zone of times that ``local`` writes.

    Raises:
        TemplateWrong: See ``template_problem``; ask that first for better words.
    """

    def __init__(self, sources: Mapping[str, str], rule: str, zone: ZoneInfo) -> None:
        self._rule = rule
        self._environment = _environment(zone)
        self._templates = {name: self._compiled(sources.get(name, default)) for name, default in DEFAULTS.items()}
        self._plain = {name: self._compiled(default) for name, default in DEFAULTS.items()}

    def event(self, event: Row, refused: Callable[[str], None]) -> Text:
        """Return what is said of one event; in the default words when the template does not bear it.

        Args:
            event: The event, ``title`` included.
            refused: Told why the template did not bear it.
        """
        return self._text("", {"event": event}, refused)

    def digest(self, items: Sequence[Text], message: str, refused: Callable[[str], None]) -> Text:
        """Return what is said of several events together.

        Args:
            items: What is said of each.
            message: Id of the message.
            refused: Told why the template did not bear it.
        """
        shown = items[:SHOWN_EVENTS]
        return self._text("digest_", {"items": shown, "count": len(items), "message": message}, refused)

    def key(self, event: Row, refused: Callable[[str], None]) -> str:
        """Return what events have in common that are told of once."""
        return self._rendered("key", {"event": event}, refused)

    def _text(self, prefix: str, names: Mapping[str, Any], refused: Callable[[str], None]) -> Text:
        title = self._rendered(f"{prefix}title", names, refused)
        text = self._rendered(f"{prefix}text", names, refused)
        return Text(_one_line(title), _lines(text))

    def _rendered(self, name: str, names: Mapping[str, Any], refused: Callable[[str], None]) -> str:
        values = {"rule": self._rule, **names}
        try:
            return self._templates[name].render(values)
        except Exception as error:
            # Whatever a template does with an odd event, the notification goes out.
            refused(f"{name}: {type(error).__name__}: {error}")
            return self._plain[name].render(values)

    def _compiled(self, source: str) -> Template:
        try:
            return self._environment.from_string(source)
        except TemplateError as error:
            raise TemplateWrong(str(error)) from None


#: Template by name; the default of ``key`` tells every event from every other.
DEFAULTS: Mapping[str, str] = {
    "title": DEFAULT_TITLE,
    "text": DEFAULT_TEXT,
    "digest_title": DEFAULT_DIGEST_TITLE,
    "digest_text": DEFAULT_DIGEST_TEXT,
    "key": "{{ event.event_id }}",
}


def template_problem(name: str, source: str, zone: ZoneInfo) -> str:
    """Return what is wrong with a template, empty when nothing is.

    Its syntax, its names and the fields that it asks events for are looked at, and it is tried with an event that has
    everything and with one that has nothing.

    Args:
        name: A key of ``DEFAULTS``.
        source: The template.
        zone: Zone of its times.
    """
    environment = _environment(zone)
    digest = name.startswith("digest_")
    try:
        tree = environment.parse(source)
        template = environment.from_string(source)
    except TemplateError as error:
        return str(error)
    known = {"rule", "items", "count", "message"} if digest else {"rule", "event"}
    for variable in sorted(find_undeclared_variables(tree) - known):
        return _unknown("variable", variable, known)
    fields = {*blank_event(), TITLE}
    for field in _fields_asked(tree):
        if field not in fields:
            return _unknown("field", field, fields)
    return next(filter(None, (_trial(template, values) for values in _trials(digest=digest))), "")


def _trials(*, digest: bool) -> Iterator[Mapping[str, Any]]:
    if digest:
        item = Text("An example", "An example\nof a text")
        yield {"rule": "example", "items": [item, item], "count": 2, "message": "0"}
        return
    yield {"rule": "example", "event": {**sample_event(), TITLE: "An example"}}
    yield {"rule": "example", "event": {**blank_event(), TITLE: ""}}


def _trial(template: Template, values: Mapping[str, Any]) -> str:
    try:
        template.render(values)
    except Exception as error:
        # Templates are code: they may raise anything.
        said = str(error) or type(error).__name__
        return f"{said} (tried with an event in which {_filled(values)} is filled in; {_HINT})"
    return ""


def _filled(values: Mapping[str, Any]) -> str:
    return "nothing" if "event" in values and not values["event"][TITLE] else "the usual"


def _fields_asked(tree: nodes.Template) -> Iterator[str]:
    for found in tree.find_all((nodes.Getattr, nodes.Getitem)):
        if isinstance(found, nodes.Getattr) and _is_event(found.node):
            yield found.attr
        elif isinstance(found, nodes.Getitem) and _is_event(found.node) and isinstance(found.arg, nodes.Const):
            yield str(found.arg.value)


def _is_event(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "event"


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    near = nearest(name, known)
    return f'there is no {what} "{name}"' + (f'; did you mean "{near}"?' if near else "")


def _environment(zone: ZoneInfo) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,  # plain text: a channel that speaks HTML escapes it
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def local(moment: datetime | None) -> str:
        return "-" if moment is None else f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key}"

    environment.filters["local"] = local
    return environment


def _one_line(text: str) -> str:
    return escape_text(" ".join(text.split()))[:TITLE_CHARACTERS]


def _lines(text: str) -> str:
    """Return a text whose lines cannot play tricks: control and direction characters are shown as escapes."""
    lines = (escape_text(line.replace("\t", "    ")).rstrip() for line in text.strip().splitlines())
    whole = "\n".join(lines)
    return whole if len(whole) <= TEXT_CHARACTERS else whole[:TEXT_CHARACTERS] + "\n[cut]"
