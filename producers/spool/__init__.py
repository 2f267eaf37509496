"""A bounded spool on disk."""

from producers.spool.spool import Spool, Ticket

__all__ = ["Spool", "Ticket"]
