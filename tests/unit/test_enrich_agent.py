"""What user agents say."""

from __future__ import annotations

import pyarrow as pa
import pytest

from consumers.coded import Coded
from consumers.enrich import agent as agent_module
from consumers.enrich.agent import MAX_PARSED, Agents, read_agent

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
WEB_VIEW = "Mozilla/5.0 (Linux; Android 13; Pixel 7; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/116.0 Mobile Safari/537.36"
ELECTRON = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Slack/4.35 Chrome/120.0.0.0 Electron/28.1.0 Safari/537.36"


def test_a_browser_is_taken_apart() -> None:
    agent = read_agent(IPHONE)
    assert (agent.name, agent.version, agent.os, agent.device) == ("Mobile Safari", "17", "iOS", "iPhone")


def test_what_is_unknown_is_empty() -> None:
    agent = read_agent("entirely/made up")
    assert (agent.name, agent.version, agent.os, agent.device, agent.platform) == ("", "", "", "", "")


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("", ""),
        (CHROME, "web"),
        (IPHONE, "web"),
        (WEB_VIEW, "Android"),
        (IPHONE.replace(" Version/17.5", "").replace(" Safari/604.1", ""), "iOS"),
        (ELECTRON, "desktop"),
        ("curl/8.5.0", "api"),
        ("python-requests/2.31.0", "api"),
        ("Java/17.0.1", "api"),
        ("Javascript-thing/1", ""),
        ("MyApp/3.2 CFNetwork/1494.0.7 Darwin/23.4.0", "iOS"),
        ("Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UD1A)", "Android"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
    ],
)
def test_the_platform_follows_the_documented_rules(text: str, platform: str) -> None:
    assert read_agent(text).platform == platform


def test_an_endless_user_agent_is_looked_at_in_part() -> None:
    assert read_agent(" " * MAX_PARSED + CHROME).name == ""
    assert read_agent(CHROME + "(" * 60_000).name == "Chrome"


def test_columns_line_up_with_their_rows_over_batches_and_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_module, "MAX_AGENTS", 2)
    agents = Agents()
    for words in (["", CHROME, IPHONE, CHROME], [IPHONE, "curl/8"], [CHROME], ["", "curl/7"]):
        columns, codes, platforms = agents.join(Coded.of(pa.array(words), None))
        assert columns["ua_name"].to_pylist() == [read_agent(w).name for w in words]
        assert columns["ua_version"].to_pylist() == [read_agent(w).version for w in words]
        assert [platforms[c].as_py() for c in codes.tolist()] == [read_agent(w).platform for w in words]
