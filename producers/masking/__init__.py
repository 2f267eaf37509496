"""Masking of secrets before an event leaves the process."""

from producers.masking.record import Masker
from producers.masking.rules import MASK

__all__ = ["MASK", "Masker"]
