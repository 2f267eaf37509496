"""Thin reads of the stored log."""

from query.aggregates import Bucket, FacetValue
from query.arrivals import START, Arrivals, Position
from query.errors import (
    DatabaseNotReady,
    DatabaseUnreachable,
    InvalidCursor,
    InvalidFilter,
    InvalidQuery,
    QueryError,
    QueryFailed,
    QueryTooExpensive,
)
from query.events import Detail, Page
from query.expression import EVERYTHING, All, AnyOf, Expression, Not, Term
from query.ledger import BatchFilter, DeadLetterFilter
from query.question import Question
from query.reader import Reader, open_reader
from query.syntax import parse, to_text

__all__ = [
    "EVERYTHING",
    "START",
    "All",
    "AnyOf",
    "Arrivals",
    "BatchFilter",
    "Bucket",
    "DatabaseNotReady",
    "DatabaseUnreachable",
    "DeadLetterFilter",
    "Detail",
    "Expression",
    "FacetValue",
    "InvalidCursor",
    "InvalidFilter",
    "InvalidQuery",
    "Not",
    "Page",
    "Position",
    "QueryError",
    "QueryFailed",
    "QueryTooExpensive",
    "Question",
    "Reader",
    "Term",
    "open_reader",
    "parse",
    "to_text",
]
