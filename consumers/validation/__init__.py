"""Which decoded events are stored, which are refused and why."""

from consumers.validation.reasons import Flag, Reason
from consumers.validation.validator import Validator
from consumers.validation.verdict import Verdict

__all__ = ["Flag", "Reason", "Validator", "Verdict"]
