"""Questions an auditor asks about the demo's story, each put by command, by HTTP and on the page."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

from auditstream.demo.people import ANN, TENANT
from auditstream.demo.story import CAMPAIGN_ID, CAMPAIGN_NAME, last_month
from auditstream.demo.story_records import FAILED_SENDOUT

_TIMEOUT_S = 60.0
#: What a query string need not escape.
_LEGIBLE = "*/@:,"
_CURL = 'curl -H "Authorization: Bearer $TOKEN"'
_RUN_LOG = "/api/v1.1/campaigns/log_v2"


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        text: The question.
        arguments: Arguments of ``auditstream`` that answer it.
        path: Path of the API that answers it, with its parameters.
        page: Path of the page that answers it, with its parameters.
        body: Body to post to ``path``, with ``$TOKEN`` in it; empty for a GET with the token in a header.
        then: What one does with the answer, by command and by HTTP, with ``{url}`` for the address of the server.
    """

    text: str
    arguments: tuple[str, ...]
    path: str
    page: str
    body: str = ""
    then: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command as one types it."""
        return shlex.join(("auditstream", *self.arguments))

    def curl(self, url: str) -> str:
        """Return the request as one types it into a shell that knows TOKEN.

        Args:
            url: Address of the server.
        """
        if self.body:
            quoted = self.body.replace('"', '\\"')
            return f'curl -d "{quoted}" {url}{self.path}'
        return f"{_CURL} '{url}{self.path}'"

    def follow_ups(self, url: str) -> tuple[str, ...]:
        """Return what one does with the answer.

        Args:
            url: Address of the server.
        """
        return tuple(line.format(url=url) for line in self.then)


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


def questions(now: datetime, export_id: str = "EXPORT_ID") -> tuple[Question, ...]:
    """Return the questions.

    Args:
        now: The present, with its offset; last month is the month before.
        export_id: An export of the log that was made over the API.
    """
    return (*_done(now), *_records(export_id))


def _question(text: str, filters: Mapping[str, str], *, columns: str, fields: str) -> Question:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in filters.items()]
    query = urlencode(filters, safe=_LEGIBLE)
    path = f"/api/v1/events?{query}&fields={fields}"
    return Question(text, ("query", *options, f"--columns={columns}"), path, f"/journal?{query}")


def _done(now: datetime) -> Iterator[Question]:
    month = {"since": f"{last_month(now):%Y-%m}-01", "until": f"{now:%Y-%m}-01"}
    yield _question(
        f"Who deactivated the campaign {CAMPAIGN_NAME} last month, and from where?",
        {"action": "campaign.deactivate", "object": f"campaign/{CAMPAIGN_ID}", **month},
        columns="time,title,outcome,from",
        fields="occurred_at,title,outcome,ip,user_agent",
    )
    yield _question(
        "All failed logins of Ann?",
        {"action": "auth.login_failed", "actor": ANN.login, "since": "30d"},
        columns="time,actor,from,outcome_reason",
        fields="occurred_at,actor_name,ip,outcome_reason,user_agent",
    )


def _states(
    text: str, kind: str, paths: tuple[str, str], filters: Mapping[str, str], *, fields: str, then: tuple[str, ...]
) -> Question:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in filters.items()]
    query = urlencode(filters, safe=_LEGIBLE)
    api, page = paths
    arguments = ("query", f"--states={kind}", *options, f"--columns=time,{fields}")
    return Question(text, arguments, f"{api}?{query}&fields=occurred_at,{fields}", page, then=then)


def _records(export_id: str) -> Iterator[Question]:
    yield _states(
        "Which exports did the API make, and with which filters? Download one of the log's own again.",
        "export",
        ("/api/v1/exports", f"/data-exports?tenant={TENANT}&origin=api"),
        {"tenant": TENANT, "origin": "api"},
        fields="actor_name,export_id,export_kind,export_filters,export_state",
        then=(
            f"auditstream export --again {export_id} --output again.csv",
            f"{_CURL} -o again.csv '{{url}}/api/v1/export-jobs/{export_id}/file'",
            "{url}/exports",
        ),
    )
    yield _states(
        "Which webhook failed? Send it again.",
        "webhook",
        ("/api/v1/webhooks", f"/webhooks?tenant={TENANT}&status=error"),
        {"tenant": TENANT, "webhook_status": "error"},
        fields="hook_sendout_id,hook_url,hook_attempt,hook_error",
        then=(
            f"auditstream resend {FAILED_SENDOUT} --reason 'the receiver was down' --yes",
            f"{_CURL} -d '{{{{\"reason\": \"the receiver was down\"}}}}' '{{url}}/api/v1/webhooks/{FAILED_SENDOUT}/resend'",
            f"{{url}}/webhooks/{FAILED_SENDOUT}",
        ),
    )
    yield Question(
        "How did the last run of campaign 1 end?",
        ("query", "--kind=run_log", "--run-object=1", "--limit=2", "--columns=time,severity,message,run_value"),
        _RUN_LOG,
        "/runs?object_type=campaign&object_id=1",
        json.dumps({"token": "$TOKEN", "id": 1, "limit": 2}),
    )


def ask(environment: Mapping[str, str], asked: Sequence[Question]) -> Iterator[Answer]:
    """Ask questions, each in a process of its own, as from another terminal.

    Args:
        environment: Settings of the demo as variables.
        asked: The questions.
    """
    program = Path(sys.executable).with_name("auditstream")
    for question in asked:
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
