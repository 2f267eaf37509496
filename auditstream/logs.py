"""Structured logs: one line per event on standard error, without secrets."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field

from auditstream.redaction import hidden


class LogSettings(BaseModel):
    """What is logged, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    format: Literal["json", "keyvalue"] = Field(
        "json", description="One line per event as a JSON object, or as key=value pairs for eyes."
    )


def configure_logging(settings: LogSettings) -> None:
    """Send the logs of auditstream and of the libraries it uses to standard error, one line per event.

    Idempotent; the last call wins.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a module's logger may have been used before this call
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(settings)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries tell at info what only their own developers care about.
    root.setLevel(max(level, logging.WARNING))
    for name in ("auditstream", "consumers", "producers", "query", "schemas", "sinks"):
        logging.getLogger(name).setLevel(level)


def _renderer(settings: LogSettings) -> structlog.typing.Processor:
    if settings.format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)


def hide_secrets(logger: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replace secret values of a log event by stars; a processor of structlog."""
    del logger, method
    # What begins with an underscore is structlog's own and gone before rendering.
    return {key: value if key.startswith("_") else hidden(key, value) for key, value in event.items()}
