"""What emitting an event costs the service that emits it."""

from __future__ import annotations

import json

from benchmarks.ground import EVENTS_TOPIC, Ground, wait_for_line
from benchmarks.plan import PARTITIONS, Plan

_TIMEOUT_S = 600.0


def measure(ground: Ground, plan: Plan) -> dict[str, object]:
    """Submit events from a process of its own to the real Kafka; its end offsets must agree with the count."""
    topic = ground.topics.create(EVENTS_TOPIC, partitions=PARTITIONS)
    subject = ground.start_subject("submitter", ground.bootstrap, ground.registry_url, topic, plan.submits)
    found: dict[str, float] = json.loads(wait_for_line(subject, r"^result (.*)$", _TIMEOUT_S))
    if code := subject.wait(60.0):
        raise RuntimeError(f"the submitter ended with {code}:\n{subject.log_tail()}")
    arrived = sum(ground.topics.end_offsets(topic).values())
    if arrived < plan.submits:
        raise RuntimeError(f"{plan.submits} events were submitted, the topic has {arrived}")
    ground.topics.delete(topic)
    return {"events_per_cpu_s": round(found["events"] / found["cpu_s"]), **found}
