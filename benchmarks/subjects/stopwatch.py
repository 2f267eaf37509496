"""CPU time of the stages of the real code, measured by wrapping the functions that do them."""

from __future__ import annotations

import functools
import importlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

#: Stage, module, and the function or method in it that does the stage's work.
STAGES: Sequence[tuple[str, str, str]] = (
    ("consume", "consumers.kafka", "GroupConsumer.fetch"),
    ("accept", "consumers.ownership", "Ownership.accept"),
    ("gather", "consumers.partition", "PartitionState.take_off"),
    ("decode", "consumers.processing", "read_frames"),
    ("decode", "consumers.decode.decoder", "Decoder.decode"),
    ("validate", "consumers.validation.validator", "Validator.validate"),
    ("enrich", "consumers.enrich.enricher", "Enricher.enrich"),
    ("build", "consumers.processing", "event_table"),
    ("build", "consumers.processing", "payload_table"),
    ("digest", "sinks.delivery", "describe"),
    ("encode", "sinks.clickhouse", "insertable"),
    ("encode", "sinks.connection", "encode"),
    ("encode", "sinks.connection", "_Body.__init__"),
    ("encode", "sinks.connection", "_arrow_stream"),
    ("insert", "sinks.connection", "Connections.insert"),
    ("commit", "consumers.kafka", "GroupConsumer.send_commit"),
)


class StageMissing(RuntimeError):
    """The path has changed and its profile has not."""


class Stopwatch:
    """Sums the CPU time of stages, each without the stages inside it.

    Wrapped functions must run on one thread. CPU time of other threads that passes meanwhile (the engine's, and those
    of Kafka's client) is kept apart.

    Attributes:
        own_s: CPU seconds of the calling thread by stage.
        others_s: CPU seconds of all other threads of the process meanwhile, by stage.
    """

    def __init__(self) -> None:
        self.own_s: defaultdict[str, float] = defaultdict(float)
        self.others_s: defaultdict[str, float] = defaultdict(float)
        self._inner: list[tuple[float, float]] = []

    def reset(self) -> None:
        """Forget what was measured."""
        self.own_s.clear()
        self.others_s.clear()

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Measure while the block runs.

        Raises:
            StageMissing: A function of ``STAGES`` is not there any more.
        """
        undo = [self._wrap(stage, module, path) for stage, module, path in STAGES]
        try:
            yield
        finally:
            for restore in reversed(undo):
                restore()

    def _wrap(self, stage: str, module: str, path: str) -> Callable[[], None]:
        owner: Any = importlib.import_module(module)
        *outer, name = path.split(".")
        try:
            for part in outer:
                owner = getattr(owner, part)
            function = getattr(owner, name)
        except AttributeError:
            raise StageMissing(
                f"{module}.{path} does not exist any more: say what does the stage {stage} now"
            ) from None
        setattr(owner, name, self._timed(stage, function))
        return functools.partial(setattr, owner, name, function)

    def _timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: object, **kwargs: object) -> Any:  # noqa: ANN401 - whatever the wrapped function returns
            self._inner.append((0.0, 0.0))
            own, whole = time.thread_time(), time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                self._add(stage, time.thread_time() - own, time.process_time() - whole)

        return timed

    def _add(self, stage: str, own: float, whole: float) -> None:
        inner_own, inner_whole = self._inner.pop()
        self.own_s[stage] += own - inner_own
        self.others_s[stage] += (whole - inner_whole) - (own - inner_own)
        if self._inner:
            outer_own, outer_whole = self._inner[-1]
            self._inner[-1] = outer_own + own, outer_whole + whole
