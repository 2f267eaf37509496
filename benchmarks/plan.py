"""How much is measured: the short run of ``make bench`` and the long one of ``make bench-full``."""

from __future__ import annotations

from dataclasses import dataclass

#: Two, so that a full batch of each is stored soon and two workers have one each.
PARTITIONS = 2
#: Rows of one block in every comparison; the worker's own default.
BATCH_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of one run.

    Attributes:
        name: ``short`` or ``full``; the name of the results.
        distinct_events: Events generated; longer loads repeat them.
        rounds: Repetitions of the comparison, its three subjects taking turns.
        race_events: Events of the worker and of ClickHouse's reader in each round; a multiple of a batch per partition.
        plain_events: Events of the plain worker in each round.
        served_events: Events of one worker, and of two, against the served database.
        served_rounds: Repetitions of that.
        catch_up_events: Events of the backlog whose rate and memory are watched; 0 takes the served run for it.
        memory_bytes: Bytes of messages of each size in the memory runs.
        many_partition_events: Events of the memory run with 200 partitions; 0 leaves it out.
        latency_s: Seconds of load in each latency run.
        latency_partitions: Partitions of each latency run.
        submits: Events that a producer submits.
        starts: Starts of a worker that are timed.
        query_rows: Rows of the store that the named reads are asked of.
        stages: Whether the worker's stages are told apart.
        rivals: Whether other tools run beside ours.
    """

    name: str
    distinct_events: int
    rounds: int
    race_events: int
    plain_events: int
    served_events: int
    served_rounds: int
    catch_up_events: int
    memory_bytes: int
    many_partition_events: int
    latency_s: float
    latency_partitions: tuple[int, ...]
    submits: int
    starts: int
    query_rows: int
    stages: bool
    rivals: bool


SHORT = Plan(
    name="latest",
    distinct_events=100_000,
    rounds=2,
    race_events=2 * PARTITIONS * BATCH_ROWS,
    plain_events=BATCH_ROWS,
    served_events=2 * PARTITIONS * BATCH_ROWS,
    served_rounds=1,
    catch_up_events=0,
    memory_bytes=64 << 20,
    many_partition_events=0,
    latency_s=12.0,
    latency_partitions=(12,),
    submits=30_000,
    starts=2,
    query_rows=1_200_000,
    stages=False,
    rivals=False,
)
FULL = Plan(
    name="full",
    distinct_events=400_000,
    rounds=5,
    race_events=8 * PARTITIONS * BATCH_ROWS,
    plain_events=2 * BATCH_ROWS,
    served_events=8 * PARTITIONS * BATCH_ROWS,
    served_rounds=3,
    catch_up_events=5_000_000,
    memory_bytes=400 << 20,
    many_partition_events=400_000,
    latency_s=60.0,
    latency_partitions=(12, 100),
    submits=200_000,
    starts=5,
    query_rows=50_400_000,
    stages=True,
    rivals=True,
)
#: For the benchmarks' own tests and for trying a change to them: every measurement once, too short to be believed.
TRIAL = Plan(
    name="trial",
    distinct_events=20_000,
    rounds=1,
    race_events=PARTITIONS * 5_000,
    plain_events=5_000,
    served_events=PARTITIONS * 5_000,
    served_rounds=1,
    catch_up_events=0,
    memory_bytes=10 << 20,
    many_partition_events=2_000,
    latency_s=4.0,
    latency_partitions=(12,),
    submits=3_000,
    starts=1,
    query_rows=120_000,
    stages=True,
    rivals=False,
)
