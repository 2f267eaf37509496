"""Producers of our own audit events: best effort, with a spool directory that no other process has."""

from __future__ import annotations

from pathlib import Path

from auditstream import __version__
from auditstream.settings import Settings
from producers import AuditProducer, SpoolLocked

SERVICE = "auditstream"
#: Processes side by side have a spool each; beyond this many something is wrong.
_SPOOLS = 64


def open_spooled(settings: Settings, folder: Path) -> AuditProducer:
    """Open a producer with the first free spool below a folder.

    Args:
        settings: All settings.
        folder: Folder of the spools; made when it is not there.

    Raises:
        ProducerError: All spools are in use, or cannot be written.
        SchemaError: The registry's address is wrong.
        OSError: The folder cannot be made.
    """
    folder = folder.expanduser()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(_SPOOLS - 1):
        try:
            return _open(settings, folder / str(number))
        except SpoolLocked:
            continue
    return _open(settings, folder / str(_SPOOLS - 1))


def _open(settings: Settings, spool: Path) -> AuditProducer:
    stamps = {"source_service": SERVICE, "source_version": __version__}
    asked = settings.producer.model_copy(update={"mode": "best_effort", "spool_dir": spool, **stamps})
    return AuditProducer(settings.kafka, settings.registry, asked)
