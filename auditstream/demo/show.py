"""What the demo shows: a live summary, answers, and what to try next."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from auditstream.demo.questions import Answer
from auditstream.demo.running import RunningDemo, Snapshot
from auditstream.demo.served import Served

_REFRESH_S = 0.25
_LINE_EVERY_S = 2.0

_WELCOME = """\

[bold]The page[/bold]  {url}      sign in with one of these tokens
[bold]The API[/bold]   {api}
{tokens}
"""

_NEXT_STEPS = """\
[bold]Try next[/bold], in another terminal (each line as it stands):

{exports}
  export TOKEN={token}

{steps}
"""

_STEPS = (
    ("auditstream export --tenant acme --output acme.xlsx", "a workbook, with a manifest beside it"),
    ("auditstream export --list", "past exports; --again ID makes one again"),
    ("auditstream tail", "follow arrivals"),
    ("auditstream query --since 1h --facet action", "count by action"),
    ("auditstream generate --count 1000 --bad-share 0.1", "more load, with damage"),
)


def figures(now: Snapshot, before: Snapshot, seconds: float) -> dict[str, str]:
    """Return the figures of a moment as text, rates since an earlier one."""
    rate = (now.stored + now.dead_lettered - before.stored - before.dead_lettered) / seconds if seconds else 0.0
    return {
        "produced": f"{now.produced:,}",
        "stored": f"{now.stored:,}",
        "dead letters": f"{now.dead_lettered:,}",
        "waiting": f"{now.waiting:,}",
        "events/s": f"{rate:,.0f}",
        "Kafka to queryable": f"{now.latency_s * 1000:,.0f} ms on average",
    }


def watch(console: Console, demo: RunningDemo, until: float | None) -> None:
    """Show the live summary until everything is stored, or for some seconds.

    Args:
        console: Where to; without a terminal it gets a line every two seconds.
        demo: The running demo.
        until: Seconds to watch, None until everything produced is stored.
    """
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            _follow(demo, until, _REFRESH_S, lambda values: live.update(_table(values)))
    else:
        _follow(
            demo, until, _LINE_EVERY_S, lambda values: console.print(_line(values), highlight=False, soft_wrap=True)
        )


def _follow(demo: RunningDemo, until: float | None, every_s: float, show: Callable[[Mapping[str, str]], None]) -> None:
    started, before, shown_at = time.monotonic(), demo.snapshot(), time.monotonic()
    while not (demo.drained() if until is None else time.monotonic() - started >= until):
        demo.wait(0.05)
        now_s = time.monotonic()
        if now_s - shown_at >= every_s:
            now = demo.snapshot()
            show(figures(now, before, now_s - shown_at))
            before, shown_at = now, now_s


def _table(values: Mapping[str, str]) -> Table:
    table = Table(title="auditstream demo", box=None, title_justify="left")
    for name in values:
        table.add_column(name, justify="right")
    table.add_row(*values.values())
    return table


def _line(values: Mapping[str, str]) -> str:
    return "  ".join(f"{name} {value}" for name, value in values.items())


def show_answer(console: Console, answer: Answer, served: Served | None = None) -> None:
    """Show one question with its command and its answer, and how else it is asked.

    Args:
        console: Where to.
        answer: The answer.
        served: Where the demo goes on answering; None when it is about to end.
    """
    question = answer.question
    console.print(f"\n[bold]{escape(question.text)}[/bold]", soft_wrap=True)
    _verbatim(console, f"$ {question.command}", "dim")
    _verbatim(console, answer.output or "nothing")
    if served is not None:
        _verbatim(console, f"$ {question.curl(served.url)}", "dim")
        _verbatim(console, f"  {served.url}{question.page}", "dim")
        for line in question.follow_ups(served.url):
            _verbatim(console, f"  {line}" if line.startswith("http") else f"$ {line}", "dim")


def show_welcome(console: Console, served: Served) -> None:
    """Show where the demo answers, and a token for each role."""
    tokens = "\n".join(f"  {role:<16} {secret}" for role, secret in served.tokens.items())
    console.print(_WELCOME.format(url=served.url, api=served.api, tokens=tokens), highlight=False, soft_wrap=True)


def show_next_steps(console: Console, environment: Mapping[str, str], served: Served, metrics_url: str) -> None:
    """Show what to type into another terminal."""
    exports = "\n".join(f"  export {name}={shlex.quote(value)}" for name, value in environment.items())
    lines = [*_STEPS, (f"curl {metrics_url}", "what the worker counts")]
    steps = "\n".join(f"  {command:<52} # {meaning}" for command, meaning in lines)
    text = _NEXT_STEPS.format(exports=escape(exports), token=served.token, steps=escape(steps))
    console.print("\n" + text, highlight=False, soft_wrap=True)


def _verbatim(console: Console, text: str, style: str | None = None) -> None:
    console.print(escape(text), style=style, highlight=False, soft_wrap=True)
