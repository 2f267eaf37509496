"""All that is added to accepted events: address, agent, actor, meaning, retention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from consumers.arrays import Bools
from consumers.coded import Coded, Filler
from consumers.enrich.actors import ActorDirectory
from consumers.enrich.address import AddressBook
from consumers.enrich.agent import Agents
from consumers.enrich.databases import AddressDatabases
from consumers.enrich.meanings import FILLED, MeaningJoin, Meanings
from consumers.enrich.retention import Retained, RetentionPolicy
from consumers.enrich.snapshots import Snapshots

_CODED = (
    "event_code", "tenant_id", "actor_id", "ip", "user_agent", "platform", "retention_class", "actor_department",
    "actor_status", *FILLED,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Enriched:
    """What was added to n rows.

    Attributes:
        columns: Columns of ``audit_events`` that are new or were filled, by name; n rows each.
        retained: How long each row is kept.
        chain_unusable: Where the forwarded chain gave no address although there was no other; bool[n].
    """

    columns: Mapping[str, pa.Array]
    retained: Retained
    chain_unusable: Bools


class Enricher:
    """Adds to accepted events what others know of them. Not thread-safe, and never fails: sources that are missing say so in status columns.

    Args:
        catalogue: The known event codes.
        policy: How long events are kept.
        databases: Places and networks of addresses; whoever opened them closes them.
        directory: Names of actors.
    """

    def __init__(
        self, catalogue: Meanings, policy: RetentionPolicy, databases: AddressDatabases, directory: ActorDirectory
    ) -> None:
        self._policy = policy
        self._meanings = MeaningJoin(catalogue, policy)
        self._addresses = AddressBook(databases)
        self._agents = Agents()
        self._platforms = Filler({""})
        self._snapshots = Snapshots(directory)

    def enrich(self, columns: Mapping[str, pa.Array], generations: Mapping[str, int]) -> Enriched:
        """Join everything to n accepted rows.

        Args:
            columns: Decoded columns by path, of accepted rows only.
            generations: Generation of each dictionary, as ``Decoded.generations``.
        """
        coded = {path: Coded.of(columns[path], generations.get(path)) for path in _CODED}
        meanings, code_class = self._meanings.join(coded["event_code"], coded)
        addresses, chain_unusable = self._addresses.join(coded["ip"], columns["ip_chain"], columns["ip_trusted_hops"])
        agents, platform_codes, platforms = self._agents.join(coded["user_agent"])
        platform = self._platforms.fill(coded["platform"], platform_codes, platforms)
        actors = self._snapshots.join(coded["tenant_id"], coded["actor_id"], columns, coded)
        retained = self._policy.resolve(coded["tenant_id"], coded["retention_class"], code_class)
        added = {**meanings, **addresses, **agents, "platform": platform, **actors}
        return Enriched(added, retained, chain_unusable)
