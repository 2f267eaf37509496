"""The rules file: what it says is what happens, and every mistake is named with its rule, key, value and cure."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from auditstream.cli import cli
from auditstream.notify.rules import RateLimit, Rules
from auditstream.notify.rules_file import RulesError, load_rules

DOCS = Path(__file__).parents[2] / "docs" / "notify.md"

RULE = """
[channels.chat]
url = "json://127.0.0.1:9/"
[[rules]]
name = "a"
filter = "action:campaign.*"
channels = ["chat", "inbox", "chat"]
"""


def loaded(tmp_path: Path, text: str) -> Rules:
    path = tmp_path / "rules.toml"
    path.write_text(text, "utf-8")
    return load_rules(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(RulesError) as caught:
        loaded(tmp_path, text)
    return caught.value.problems


def problem(tmp_path: Path, line: str) -> str:
    (found,) = problems(tmp_path, RULE + line)
    return found


def test_a_rule_has_what_its_table_says(tmp_path: Path) -> None:
    more = """
    zone = "Europe/Berlin"
    digest_minutes = 5
    quiet_hours = { from = "22:00", until = "07:30", zone = "Asia/Tokyo" }
    deduplicate = { key = "{{ event.actor_id }}", minutes = 60 }
    rate_limit = { messages = 3, minutes = 2 }
    personal = "shown"
    """
    (rule,) = loaded(tmp_path, RULE + more).rules
    assert (rule.name, rule.filter.text, rule.channels) == ("a", "action:campaign.*", ("chat", "inbox"))
    assert (rule.zone, rule.digest_s, rule.deduplicate_s) == (ZoneInfo("Europe/Berlin"), 300.0, 3600.0)
    assert (rule.rate, rule.personal) == (RateLimit(3, 120.0), True)
    assert rule.quiet is not None
    assert (rule.quiet.begin.isoformat(), rule.quiet.end.isoformat()) == ("22:00:00", "07:30:00")
    assert rule.quiet.zone.key == "Asia/Tokyo"


def test_the_url_of_a_channel_may_stand_in_a_file_beside_the_rules(tmp_path: Path) -> None:
    (tmp_path / "chat.url").write_text("json://127.0.0.1:9/hidden\n", "utf-8")
    text = RULE.replace('url = "json://127.0.0.1:9/"', 'url_file = "chat.url"')
    assert loaded(tmp_path, text).channels == {"chat": "json://127.0.0.1:9/hidden"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('zone = "Europe/Berln"', 'rule "a": zone = \'Europe/Berln\': .*did you mean "Europe/Berlin"'),
        (
            'title = "{{ event.actr_name }}"',
            'rule "a": title = .*there is no field "actr_name"; did you mean "actor_name"',
        ),
        ('text = "{{ evnt.ip }}"', 'rule "a": text = .*there is no variable "evnt"; did you mean "event"'),
        ('title = "{% if %}"', 'rule "a": title = .*Expected an expression'),
        ('title = "{{ event.ip.upper() }}"', "in which nothing is filled in"),
        ('title = "{{ event.details.key }}"', "event.details.get"),
        ('title = "{{ event.title.__class__.__mro__ }}"', "unsafe"),
        ('digest_title = "{{ event.title }}"', 'there is no variable "event"'),
        ('deduplicate = { key = "{{ x }}", minutes = 1 }', 'deduplicate.key = .*there is no variable "x"'),
        ('deduplicate = { key = "x", minutes = 0 }', "deduplicate.minutes = 0: expected greater than 0"),
        ('quiet_hours = { from = "25:00", until = "07:00", zone = "UTC" }', "quiet_hours.from = '25:00'"),
        ('quiet_hours = { from = "07:00", until = "07:00", zone = "UTC" }', "quiet_hours.until.*another time"),
        ('quiet_hours = { from = "22:00", until = "07:00" }', "quiet_hours.zone: it is missing"),
        ("rate_limit = { messages = 1.5, minutes = 1 }", "rate_limit.messages = 1.5: expected a valid integer"),
        ('digest_minutes = "5"', "digest_minutes = '5': expected a valid number"),
        ("colour = 1", 'rule "a": colour = 1: there is no such key'),
        ('personal = "yes"', "personal = 'yes': expected 'masked' or 'shown'"),
    ],
)
def test_a_mistake_is_named_with_rule_key_value_and_what_was_expected(tmp_path: Path, line: str, expected: str) -> None:
    assert re.search(expected, problem(tmp_path, line)), problem(tmp_path, line)


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("acton:x", 'there is no filter "acton".*did you mean "action"'),
        ("outcome:sucess", 'did you mean "success"'),
        ("tenant:a since:24h", 'at character 10: "since:24h": .*a time relative to now'),
        ("since:today", "a date such as"),
        ("stored_since:2026-01-01", "before it is stored"),
        ("(tenant:a", "parenthesis"),
    ],
)
def test_a_filter_that_means_nothing_for_one_event_is_refused(tmp_path: Path, filter_: str, expected: str) -> None:
    (found,) = problems(tmp_path, RULE.replace("action:campaign.*", filter_))
    assert found.startswith('rule "a": filter = ')
    assert re.search(expected, found), found


def test_all_mistakes_are_told_at_once_and_no_secret_with_them(tmp_path: Path) -> None:
    text = """
    [channels.inbox]
    url = "json://127.0.0.1"
    [channels.typo]
    url = "jsson://user:hush4711@127.0.0.1"
    [channels.both]
    url = "json://hush4711"
    url_file = "x"
    [channels.gone]
    url_file = "nowhere.url"
    [channels.number]
    url = 4711
    [[rules]]
    name = "a"
    filter = ""
    channels = ["nobody", "typo"]
    [[rules]]
    name = "a"
    filter = "x:y"
    channels = []
    [[rules]]
    [more]
    """
    found = problems(tmp_path, text)
    wanted = [
        "the file: more", 'channel "inbox": name', 'channel "typo": url:', 'channel "both": expected either',
        'channel "gone": url_file', 'channel "number": url:', 'rule "a": channels = \'nobody\'', 'rule "a": channels = []',
        "rule 3: name: it is missing", "rule 3: filter", "rule 3: channels", 'rule "a": name = \'a\'',
    ]  # fmt: skip
    assert [next((p for p in found if p.startswith(w)), f"no {w}") for w in wanted] == found
    assert "hush4711" not in str(found)
    assert "4711" not in str(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "at least one"),
        ("rules = 3", "at least one"),
        ("channels = 3\n" + "[[rules]]", "tables"),
        ("a = [", "rules.toml"),
    ],
)
def test_a_file_that_holds_no_rules_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in " ".join(problems(tmp_path, text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match="No such file"):
        load_rules(tmp_path / "none.toml")


def test_the_command_prints_every_mistake_and_ends_with_2(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(RULE + 'zone = "x"\ncolour = 1\n', "utf-8")
    result = CliRunner().invoke(cli, ["notify", "check", str(path)])
    assert result.exit_code == 2
    assert "colour = 1" in result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "give --rules FILE, or set notify.rules"),
        (["test", "a"], "give --rules FILE, or set notify.rules"),
        (["--rules", "RULES", "test", "b"], 'there is no rule "b"; there are: a'),
        (["test", "a", "--rules", "RULES", "--event", "RULES"], "--event:"),
        (["log", "--since", "soon"], "'soon': this is no time; expected a time such as"),
        (["log", "--event", "5"], "not a valid UUID"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_to_give(tmp_path: Path, arguments: list[str], expected: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(RULE, "utf-8")
    given = [str(path) if a == "RULES" else a for a in arguments]
    result = CliRunner().invoke(cli, ["notify", *given])
    assert result.exit_code == 2
    assert expected in " ".join(result.output.split())


def test_the_example_of_the_documentation_is_accepted(tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r'url_file = "(.*?)"', examples[0]):
        (tmp_path / name).write_text("json://127.0.0.1:9/", "utf-8")
    (tmp_path / "rules.toml").write_text(examples[0], "utf-8")
    result = CliRunner().invoke(cli, ["notify", "check", str(tmp_path / "rules.toml")], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    shown = re.search(r"console\n\$ auditstream notify check rules.toml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert shown is not None
    assert result.stdout == shown[1]
