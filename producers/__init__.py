"""How a service emits audit events."""

from producers.blocks import Access, ApiCall, Auth, Export, Run, Task, Webhook
from producers.changes import changes_between
from producers.errors import (
    DeliveryFailed,
    InvalidEvent,
    ProducerClosed,
    ProducerError,
    ProducerForked,
    ProducerMisconfigured,
    SpoolFull,
    SpoolLocked,
    SpoolUnusable,
)
from producers.event import Actor, AuditEvent, Change, Origin, Target, TargetRef
from producers.identity import new_event_id
from producers.producer import AuditProducer
from producers.promise import Counts
from producers.settings import ProducerSettings

__all__ = [
    "Access",
    "Actor",
    "ApiCall",
    "AuditEvent",
    "AuditProducer",
    "Auth",
    "Change",
    "Counts",
    "DeliveryFailed",
    "Export",
    "InvalidEvent",
    "Origin",
    "ProducerClosed",
    "ProducerError",
    "ProducerForked",
    "ProducerMisconfigured",
    "ProducerSettings",
    "Run",
    "SpoolFull",
    "SpoolLocked",
    "SpoolUnusable",
    "Target",
    "TargetRef",
    "Task",
    "Webhook",
    "changes_between",
    "new_event_id",
]
