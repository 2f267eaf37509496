"""A realistic, repeatable load of every record kind, with a known share of bad messages."""

from producers.generator.generator import EventGenerator, Generated
from producers.generator.spoil import BAD_KINDS
from producers.generator.stories import KINDS

__all__ = ["BAD_KINDS", "KINDS", "EventGenerator", "Generated"]
