"""What can go wrong between Kafka and a sink, by what the worker does about it.

ConsumerError
├── BrokerUnavailable   wait and ask again; the answer to the last request is unknown
├── OwnershipLost       the group gave the partitions to somebody else: forget them, read the committed offset again
└── MustStop            waiting does not help, and going on would break the delivery promise
    ├── InstanceFenced  another worker runs under the same static instance id
    ├── LostData        retention deleted messages that were never read
    ├── RewoundOffset   the committed offset lies before what the sink already has
    ├── ForeignOffset   the committed offset carries metadata of something else
    ├── TopicReplaced   the topic was deleted and created again while the worker read it
    ├── UnusableTopic   the topic is compacted, so that offsets vanish by themselves
    └── StageFailed     a stage failed in a way that nobody foresaw
"""

from __future__ import annotations


class ConsumerError(Exception):
    """Base of everything that this package raises."""


class BrokerUnavailable(ConsumerError):
    """Kafka did not answer, or asked to come back later.

    Attributes:
        reason: Name of librdkafka's error code, for metrics and logs.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"Kafka is not available ({reason}) {detail}".rstrip())
        self.reason = reason


class OwnershipLost(ConsumerError):
    """A commit was refused because the group has moved on without this member.

    Attributes:
        reason: Name of librdkafka's error code.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the consumer group refused the commit ({reason}): its partitions belong to somebody else now"
        )
        self.reason = reason


class MustStop(ConsumerError):
    """The worker must stop; its message says what to do."""


class InstanceFenced(MustStop):
    """Another worker joined the group under the same static instance id."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(
            f"another worker joined the group as instance {instance_id!r}: give every worker its own worker.instance_id"
        )
        self.instance_id = instance_id


class LostData(MustStop):
    """Retention deleted messages that were never read.

    Attributes:
        topic: Topic.
        partition: Partition.
        offset: Offset that was to be read next.
        oldest: Oldest offset that the broker still has.
    """

    def __init__(self, topic: str, partition: int, offset: int, oldest: int, newest: int) -> None:
        if offset < oldest:
            what = f"{oldest - offset} messages ({offset} to {oldest - 1}) were deleted before they were read"
        else:
            what = f"the partition ends at {newest}: it was truncated or restored from an older state"
        cure = (
            "find out why (retention.ms, retention.bytes, a worker that was off for too long), then start the worker "
            "with worker.on_lost_data=skip to go on from what there is; the gap stays visible in ingest_batches"
            if offset < oldest
            else "its offsets will be given out a second time, so events must go to a new topic"
        )
        super().__init__(
            f"{topic}-{partition}: offset {offset} is to be read next, but {what}. Nothing is skipped silently: {cure}"
        )
        self.topic, self.partition, self.offset, self.oldest, self.newest = topic, partition, offset, oldest, newest


class RewoundOffset(MustStop):
    """The committed offset lies before what the sink already holds of the same topic.

    Attributes:
        topic: Topic.
        partition: Partition.
        offset: Offset that was to be read next.
        stored: Last offset that the sink's manifest covers.
    """

    def __init__(self, topic: str, partition: int, offset: int, stored: int) -> None:
        super().__init__(
            f"{topic}-{partition}: the group would read from offset {offset}, but the database already has everything "
            f"up to {stored}: the offsets were reset, or worker.group_id is new. Reading on would store events twice. "
            f"To go on after {stored}, start the worker with worker.on_rewound_offset=skip"
        )
        self.topic, self.partition, self.offset, self.stored = topic, partition, offset, stored


class ForeignOffset(MustStop):
    """The committed offset carries metadata that no auditstream worker wrote."""

    def __init__(self, topic: str, partition: int, metadata: str) -> None:
        super().__init__(
            f"{topic}-{partition}: the committed offset carries the metadata {metadata!r}, which is not auditstream's: "
            "another application uses this consumer group, or a newer auditstream did; choose another worker.group_id"
        )
        self.topic, self.partition, self.metadata = topic, partition, metadata


class UnusableTopic(MustStop):
    """The topic of the events is compacted."""

    def __init__(self, topic: str, policy: str) -> None:
        super().__init__(
            f"topic {topic} has cleanup.policy={policy}: compaction removes messages, so that a missing event could not "
            "be told from a removed one; set cleanup.policy=delete for it"
        )
        self.topic = topic


class TopicReplaced(MustStop):
    """The topic of the events was deleted and created again under a running worker."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"topic {topic} was deleted and created again while it was read, so its offsets mean other messages now. "
            "Nothing of the new one is stored yet: start the worker again, it reads the new topic from its start"
        )
        self.topic = topic


class StageFailed(MustStop):
    """A stage failed on a batch in a way that is neither bad input nor an outage."""

    def __init__(self, stage: str, batch: str, error: BaseException) -> None:
        super().__init__(f"{stage} failed on {batch}: {type(error).__name__}: {error}")
        self.stage = stage
