"""The rules file: what may stand in it, and every mistake at once, each with its place, its value and what was expected."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auditstream.notify.channels import INBOX, AppriseChannel
from auditstream.notify.matching import event_filter
from auditstream.notify.quiet import QuietHours
from auditstream.notify.rules import RateLimit, Rule, Rules
from auditstream.notify.templates import Templates, template_problem
from query.errors import InvalidFilter, nearest
from query.period import parse_zone

_T = TypeVar("_T", bound=BaseModel)
_V = TypeVar("_V")
_Minutes = Annotated[float, Field(gt=0, le=10_080)]
_SHOWN_CHARACTERS = 200
_UTC = ZoneInfo("UTC")


class RulesError(Exception):
    """A rules file is wrong.

    Attributes:
        problems: Every mistake in a sentence.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the rules are wrong:\n" + "\n".join(f"  - {p}" for p in problems))
        self.problems = problems


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class QuietEntry(_Entry):
    """``quiet_hours`` of a rule: local times ``HH:MM``; the hours may span midnight."""

    begin: str = Field(alias="from", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    end: str = Field(alias="until", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    zone: str


class DeduplicateEntry(_Entry):
    """``deduplicate`` of a rule: a key template and the minutes in which a key is told of once."""

    key: str
    minutes: _Minutes


class RateEntry(_Entry):
    """``rate_limit`` of a rule: messages in so many minutes."""

    messages: Annotated[int, Field(ge=1, le=10_000)]
    minutes: _Minutes


class RuleEntry(_Entry):
    """One ``[[rules]]`` table."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    filter: str
    channels: Annotated[list[str], Field(min_length=1)]
    zone: str = "UTC"
    title: str | None = None
    text: str | None = None
    digest_minutes: Annotated[float, Field(ge=0, le=1440)] = 0.0
    digest_title: str | None = None
    digest_text: str | None = None
    quiet_hours: QuietEntry | None = None
    deduplicate: DeduplicateEntry | None = None
    rate_limit: RateEntry | None = None
    personal: Literal["masked", "shown"] = "masked"

    def templates(self) -> dict[str, str]:
        """Return the templates that the entry has of its own."""
        given = {name: getattr(self, name) for name in ("title", "text", "digest_title", "digest_text")}
        given["key"] = self.deduplicate.key if self.deduplicate else None
        return {name: source for name, source in given.items() if source is not None}


class ChannelEntry(_Entry):
    """One ``[channels.NAME]`` table: its URL, or the file that holds it."""

    url: str | None = None
    url_file: str | None = None


def load_rules(path: Path) -> Rules:
    """Read and check a rules file.

    Raises:
        RulesError: With every mistake in it.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RulesError([f"{path}: {error}"]) from None
    return _Reading(path.parent).rules(data)


class _Reading:
    """One pass over the data of a file, which notes problems instead of stopping at the first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._problems: list[str] = []
        self._channels: dict[str, str] = {}

    def rules(self, data: Mapping[str, Any]) -> Rules:
        for key in data.keys() - {"channels", "rules"}:
            self._note("the file", key, data[key], "only [channels.NAME] and [[rules]]")
        named = self._table(data.get("channels", {}))
        for name, raw in named.items():
            self._channel(str(name), raw)
        given = data.get("rules", [])
        entries = given if isinstance(given, list) else []
        if not entries:
            self._note("the file", "rules", given, "at least one [[rules]] table")
        made = [self._rule(raw, number, named) for number, raw in enumerate(entries, 1)]
        self._refuse_twins(entries)
        if self._problems:
            raise RulesError(self._problems)
        return Rules(tuple(rule for rule in made if rule is not None), self._channels)

    def _table(self, given: object) -> Mapping[str, Any]:
        if isinstance(given, dict):
            return given
        self._note("the file", "channels", given, "tables [channels.NAME]")
        return {}

    def _channel(self, name: str, raw: object) -> None:
        where = f'channel "{name}"'
        if name == INBOX:
            self._note(where, "name", name, "another name: this one is the inbox, which is there by itself")
            return
        entry = self._entry(ChannelEntry, raw, where)
        if entry is None:
            return
        if (entry.url is None) == (entry.url_file is None):
            self._problems.append(f"{where}: expected either url or url_file, the path of a file that holds the URL")
            return
        url = entry.url if entry.url is not None else self._secret(where, entry.url_file or "")
        if url is None:
            return
        try:
            AppriseChannel(url)
        except ValueError as error:
            # The value may be a password, so that it is not shown.
            self._problems.append(f"{where}: {'url' if entry.url is not None else 'url_file'}: {error}")
            return
        self._channels[name] = url

    def _secret(self, where: str, name: str) -> str | None:
        try:
            return (self._directory / name).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self._note(where, "url_file", name, f"the path of a file that holds the URL ({error})")
            return None

    def _rule(self, raw: object, number: int, channels: Mapping[str, Any]) -> Rule | None:
        named = isinstance(raw, dict) and raw.get("name")
        where = f'rule "{named}"' if isinstance(named, str) else f"rule {number}"
        entry = self._entry(RuleEntry, raw, where)
        if entry is None:
            return None
        before = len(self._problems)
        self._check_channels(where, entry.channels, channels)
        zone = self._tried(where, "zone", entry.zone, parse_zone)
        quiet = self._quiet(where, entry.quiet_hours) if entry.quiet_hours else None
        found = self._tried(where, "filter", entry.filter, event_filter)
        self._check_templates(where, entry, zone or _UTC)
        if len(self._problems) > before or found is None or zone is None:
            return None
        return Rule(
            entry.name,
            found,
            tuple(dict.fromkeys(entry.channels)),
            Templates(entry.templates(), entry.name, zone),
            zone,
            digest_s=entry.digest_minutes * 60,
            quiet=quiet,
            deduplicate_s=entry.deduplicate.minutes * 60 if entry.deduplicate else 0.0,
            rate=RateLimit(entry.rate_limit.messages, entry.rate_limit.minutes * 60) if entry.rate_limit else None,
            personal=entry.personal == "shown",
        )

    def _check_channels(self, where: str, names: Iterable[str], known: Mapping[str, Any]) -> None:
        for name in names:
            if name != INBOX and name not in known:
                near = nearest(name, [*known, INBOX])
                hint = f'; did you mean "{near}"?' if near else ""
                self._note(where, "channels", name, f"the name of a [channels.NAME] table, or {INBOX}{hint}")

    def _check_templates(self, where: str, entry: RuleEntry, zone: ZoneInfo) -> None:
        for name, source in entry.templates().items():
            if problem := template_problem(name, source, zone):
                key = "deduplicate.key" if name == "key" else name
                self._problems.append(f"{where}: {key} = {_shown(source)}: {problem}")

    def _quiet(self, where: str, entry: QuietEntry) -> QuietHours | None:
        zone = self._tried(where, "quiet_hours.zone", entry.zone, parse_zone)
        begin, end = time.fromisoformat(entry.begin), time.fromisoformat(entry.end)
        if begin == end:
            self._note(where, "quiet_hours.until", entry.end, "another time than from: the hours would never end")
        return QuietHours(begin, end, zone) if zone else None

    def _tried(self, where: str, key: str, value: str, read: Callable[[str], _V]) -> _V | None:
        try:
            return read(value)
        except InvalidFilter as error:
            self._problems.append(f"{where}: {key} = {_shown(value)}: {error}")
            return None

    def _refuse_twins(self, entries: list[Any]) -> None:
        names = Counter(str(raw.get("name")) for raw in entries if isinstance(raw, dict) and "name" in raw)
        for name, count in names.items():
            if count > 1:
                self._note(f'rule "{name}"', "name", name, f"a name of its own, but {count} rules have it")

    def _entry(self, model: type[_T], raw: object, where: str) -> _T | None:
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            self._problems += _described(error, where)
            return None

    def _note(self, where: str, key: str, value: object, expected: str) -> None:
        self._problems.append(f"{where}: {key} = {_shown(value)}: expected {expected}")


def _described(error: ValidationError, where: str) -> Iterator[str]:
    for detail in error.errors(include_url=False):
        key = ".".join(map(str, detail["loc"]))
        said = str(detail["msg"]).replace("Input should be", "expected").replace("Field required", "it is missing")
        if detail["type"] == "extra_forbidden":
            said = "there is no such key"
        missing = detail["type"] == "missing"
        hidden = key.startswith("url")
        yield f"{where}: {key}: {said}" if missing or hidden else f"{where}: {key} = {_shown(detail['input'])}: {said}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
