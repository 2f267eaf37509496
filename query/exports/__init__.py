"""Exports of the log that cannot mislead: the rows of the screen, in files that say what they are."""

from query.export_settings import ExportSettings
from query.exports.columns import SHOWN_TITLE, Derived, ExportColumn
from query.exports.desk import Asked, ExportDesk, Prospect
from query.exports.errors import (
    ExportError,
    FileDamaged,
    InvalidExport,
    JobCancelled,
    JobExpired,
    JobNotReady,
    JobUnknown,
    StorageUnusable,
    TooManyJobs,
)
from query.exports.job import Entry, Job, State
from query.exports.jobs import Download, ExportJobs, Trail, ignore_progress, no_trail
from query.exports.keepers import Progress
from query.exports.request import FORMAT_NAMES, MEDIA_TYPES, ExportRequest, Requester, format_of

__all__ = [
    "FORMAT_NAMES",
    "MEDIA_TYPES",
    "SHOWN_TITLE",
    "Asked",
    "Derived",
    "Download",
    "Entry",
    "ExportColumn",
    "ExportDesk",
    "ExportError",
    "ExportJobs",
    "ExportRequest",
    "ExportSettings",
    "FileDamaged",
    "InvalidExport",
    "Job",
    "JobCancelled",
    "JobExpired",
    "JobNotReady",
    "JobUnknown",
    "Progress",
    "Prospect",
    "Requester",
    "State",
    "StorageUnusable",
    "TooManyJobs",
    "Trail",
    "format_of",
    "ignore_progress",
    "no_trail",
]
