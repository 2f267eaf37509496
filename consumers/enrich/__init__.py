"""What is added to accepted events: place, network, client, names, meaning, retention."""

from consumers.enrich.actors import ActorCard, ActorDirectory
from consumers.enrich.databases import AddressDatabases
from consumers.enrich.enricher import Enriched, Enricher
from consumers.enrich.retention import RetentionInvalid, RetentionPolicy

__all__ = [
    "ActorCard",
    "ActorDirectory",
    "AddressDatabases",
    "Enriched",
    "Enricher",
    "RetentionInvalid",
    "RetentionPolicy",
]
