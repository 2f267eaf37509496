"""Masking of secrets before an event leaves the process."""

from producers.masking.clean import CleanTexts
from producers.masking.record import LOOKED_AT, Masker
from producers.masking.rules import MASK

__all__ = ["LOOKED_AT", "MASK", "CleanTexts", "Masker"]
