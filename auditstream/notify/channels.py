"""Ways to reach people; the only module that knows Apprise."""

from __future__ import annotations

import logging
from typing import Protocol

from apprise import Apprise, AppriseAsset, NotifyFormat

from auditstream.notify.templates import Text

#: The channel whose messages stay in the delivery log, for the page and the API to show.
INBOX = "inbox"
_SHOWN_CHARACTERS = 500
_SILENT = logging.NullHandler()


class ChannelFailed(Exception):
    """A channel did not take a message; whether it arrived all the same is unknown."""


class Channel(Protocol):
    """Takes messages; one thread at a time, and it may take seconds."""

    def send(self, text: Text) -> None:
        """Hand a message over.

        Raises:
            ChannelFailed: It was not taken.
        """
        ...


class Inbox:
    """System messages: what is in the delivery log has arrived."""

    def send(self, text: Text) -> None:
        """Take a message; its place is the log."""


class AppriseChannel:
    """E-mail, SMS, chat or whatever else an Apprise URL stands for.

    Args:
        url: The URL.

    Raises:
        ValueError: It stands for nothing.
    """

    def __init__(self, url: str) -> None:
        # One service per channel: what it says of a failure belongs to this message alone.
        self._service = Apprise(asset=AppriseAsset(app_id="auditstream", async_mode=False))
        # What Apprise has to say comes back with the result; its own lines would stand between ours.
        logging.getLogger("apprise").propagate = False
        logging.getLogger("apprise").addHandler(_SILENT)
        if not self._service.add(url):
            raise ValueError("expected a URL that Apprise knows, such as mailtos://user:password@example.com")

    def send(self, text: Text) -> None:
        """Hand a message over as plain text; see ``Channel``."""
        body = text.text or text.title
        try:
            taken = self._service.notify(
                body=body, title=text.title, body_format=NotifyFormat.TEXT, log_level=logging.WARNING
            )
        except Exception as error:
            # A hundred services, and each may fail in its own way.
            raise ChannelFailed(f"{type(error).__name__}: {error}"[:_SHOWN_CHARACTERS]) from error
        if not taken:
            said = " ".join(entry.message for entry in taken.logs()) or "no reason was given"
            raise ChannelFailed(said[:_SHOWN_CHARACTERS])
