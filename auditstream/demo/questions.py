"""Five questions an auditor asks, put to the running demo by the same commands that anyone types."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        text: The question.
        arguments: Arguments of ``auditstream`` that answer it.
    """

    text: str
    arguments: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command as one types it."""
        return shlex.join(("auditstream", *self.arguments))


@dataclass(frozen=True, slots=True)
class Answer:
    """The output of a question's command.

    Attributes:
        question: The question.
        output: What it printed: the answer, or the error when it failed.
        exit_code: 0 when it was answered.
    """

    question: Question
    output: str
    exit_code: int


QUESTIONS = (
    Question("What happened last?", ("query", "--limit", "5")),
    Question("Who failed to log in, and from where?", ("query", "kind:auth -outcome:success", "--limit", "5")),
    Question("Who deleted something?", ("query", "category:delete", "--limit", "5")),
    Question(
        "Which webhook sendouts are in error now?",
        ("query", "--states", "webhook", "--webhook-status", "error", "--limit", "5"),
    ),
    Question("Who calls the API most?", ("query", "kind:api_call", "--facet", "actor", "--limit", "5")),
)


def ask(environment: Mapping[str, str]) -> Iterator[Answer]:
    """Ask every question in a process of its own, as from another terminal.

    Args:
        environment: Settings of the demo as variables.
    """
    program = Path(sys.executable).with_name("auditstream")
    for question in QUESTIONS:
        arguments = (*question.arguments, "--format", "table")
        done = subprocess.run(  # noqa: S603 - our own program with fixed arguments
            [program, *arguments],
            env={**_without_settings(os.environ), **environment},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        yield Answer(question, (done.stderr if done.returncode else done.stdout).rstrip(), done.returncode)


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in environment.items() if not k.startswith("AUDITSTREAM_")}
