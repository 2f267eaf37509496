"""What the user agent says: client, system, device, platform."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np
import pyarrow as pa
import ua_parser

from consumers.arrays import dictionary_array
from consumers.batch import Int32s
from consumers.coded import Coded, CodeTable, Grown, Words

#: Characters of a user agent that are looked at; real ones are shorter.
MAX_PARSED = 2048
#: Distinct clients remembered at most; then everything is looked up anew.
MAX_AGENTS = 50_000

_COLUMNS = ("ua_name", "ua_version", "ua_os", "ua_device", "platform")
_OTHER = frozenset({"", "Other"})

#: Programs that call without a person in front of them, by the first word of their user agent.
_PROGRAMS = re.compile(
    r"(?i)(curl|wget|python|aiohttp|httpx|go-http-client|okhttp|apache-httpclient|java|jakarta|postmanruntime|insomnia"
    r"|axios|node|undici|got|superagent|guzzlehttp|php|ruby|faraday|rest-client|libwww-perl|reactor-netty|jersey|feign"
    r"|restsharp|dart|httpie|powershell|grpc|k6|zapier|n8n)(?![a-z])"
)
_SPIDER = re.compile(r"(?i)bot\b|crawl|spider|slurp|monitoring")
_DESKTOP_SYSTEMS = frozenset({"Windows", "Mac OS X", "Linux", "Ubuntu", "Chrome OS", "Fedora", "Debian"})
_MOBILE_SYSTEMS: Mapping[str, str] = {"iOS": "iOS", "Android": "Android"}


@dataclass(frozen=True, slots=True)
class Agent:
    """A user agent, taken apart; what is unknown is empty.

    Attributes:
        name: Browser, app or program.
        version: Its major version.
        os: Operating system.
        device: Device family.
        platform: ``web``, ``iOS``, ``Android``, ``desktop``, ``api`` or ``bot``.
    """

    name: str = ""
    version: str = ""
    os: str = ""
    device: str = ""
    platform: str = ""


def read_agent(text: str) -> Agent:
    """Take a user agent apart."""
    if not text:
        return Agent()
    parsed = ua_parser.parse(text[:MAX_PARSED])
    name = parsed.user_agent.family if parsed.user_agent else ""
    version = (parsed.user_agent.major or "") if parsed.user_agent else ""
    system = parsed.os.family if parsed.os else ""
    device = parsed.device.family if parsed.device else ""
    return Agent(_known(name), version, _known(system), _known(device), platform_of(text, name, system))


def platform_of(text: str, name: str, system: str) -> str:
    """Name the platform behind a user agent.

    The first rule that applies: programs are ``api``, crawlers ``bot``; an Electron app is ``desktop``; a web view
    inside an app counts as the app; any other browser is ``web``; what is left goes by its system.

    Args:
        text: The user agent as received.
        name: Name of the client in it.
        system: Operating system in it.
    """
    if _PROGRAMS.match(text):
        return "api"
    if _SPIDER.search(text):
        return "bot"
    if name == "Electron" or " Electron/" in text:
        return "desktop"
    browser = text.startswith(("Mozilla/", "Opera/"))
    if browser and not ("; wv)" in text or "WKWebView" in name):
        return "web"
    return _MOBILE_SYSTEMS.get(system, "desktop" if system in _DESKTOP_SYSTEMS else "")


def _known(word: str) -> str:
    return "" if word in _OTHER else word


class Agents:
    """Joins what user agents say. Not thread-safe."""

    def __init__(self) -> None:
        self._table = CodeTable(self._number)
        self._forget()

    def join(self, user_agent: Coded) -> tuple[dict[str, pa.Array], Int32s, pa.StringArray]:
        """Return the columns ``ua_*``, and the platform of each row as codes and their words.

        Args:
            user_agent: User agents as received; n rows.
        """
        if len(self._numbers) > MAX_AGENTS:
            self._forget()
        numbers = self._table.rows(user_agent)
        row_codes = {name: self._codes[name].view[numbers] for name in _COLUMNS}
        columns = {name: dictionary_array(row_codes[name], self._words[name].array) for name in _COLUMNS[:-1]}
        return columns, row_codes["platform"], self._words["platform"].array

    def _forget(self) -> None:
        self._table.clear()
        self._numbers: dict[Agent, int] = {}
        self._words = {name: Words() for name in _COLUMNS}
        self._codes = {name: Grown(np.int32) for name in _COLUMNS}

    def _number(self, text: str) -> int:
        agent = read_agent(text)
        number = self._numbers.setdefault(agent, len(self._numbers))
        if number == len(self._codes["platform"]):
            for name, word in zip(_COLUMNS, astuple(agent), strict=True):
                self._codes[name].append(self._words[name].code(word))
        return number
