"""What the demo shows: a live summary, answers, and what to try next."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from auditstream.demo.questions import Answer
from auditstream.demo.running import RunningDemo, Snapshot

_REFRESH_S = 0.25
_LINE_EVERY_S = 2.0

NEXT_STEPS = """\
[bold]Try next[/bold], in another terminal (each line as it stands):

{exports}
  auditstream tail                                  follow arrivals
  auditstream query --since 1h --facet action       count by action
  auditstream query 'outcome:denied' --format json  for scripts
  auditstream generate --count 1000 --bad-share 0.1 more load, with damage
  curl {metrics}
"""


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
        _follow(demo, until, _LINE_EVERY_S, lambda values: console.print(_line(values), highlight=False))


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


def show_answer(console: Console, answer: Answer) -> None:
    """Show one question with its command and its answer."""
    console.print(f"\n[bold]{escape(answer.question.text)}[/bold]")
    console.print(f"[dim]$ {escape(answer.question.command)}[/dim]", highlight=False, soft_wrap=True)
    console.print(escape(answer.output or "nothing"), highlight=False, soft_wrap=True)


def show_next_steps(console: Console, environment: Mapping[str, str], metrics_url: str) -> None:
    """Show what to type into another terminal."""
    exports = "\n".join(f"  export {name}={value}" for name, value in environment.items())
    console.print("\n" + NEXT_STEPS.format(exports=exports, metrics=metrics_url), highlight=False, soft_wrap=True)
