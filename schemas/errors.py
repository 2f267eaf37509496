"""What can go wrong at the contract, by what the caller should do about it.

SchemaError
├── RegistryUnavailable   wait ``retry_after_s`` and ask again: nothing is known about what was asked
├── RegistryRefused       stop: address, credentials or certificate are wrong (``advice`` says what to change)
├── SchemaNotFound        the registry answered, and it has no such schema or subject
├── SchemaIncompatible    a reader cannot read what a writer writes (``problems``)
├── SchemaUnsupported     valid Avro, but a construct that auditstream does not read (``place``)
├── SchemaInvalid         not an Avro schema (``place``)
├── RecordInvalid         a record does not fit its schema (``problems``)
├── PayloadInvalid        bytes are not a message of the expected schema
└── CatalogueError        catalogue files are wrong (``problems``, all at once)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def _listed(problems: Iterable[str]) -> str:
    return "\n".join(f"  - {p}" for p in problems)


class SchemaError(Exception):
    """Base of everything the package raises."""


class RegistryUnavailable(SchemaError):
    """The schema registry gave no usable answer: an outage, never a statement about a schema.

    Attributes:
        detail: What was asked and what happened, without secrets.
        retry_after_s: Seconds to wait before asking again at least.
    """

    def __init__(self, detail: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(f"the schema registry is not available: {detail}")
        self.detail, self.retry_after_s = detail, retry_after_s


class RegistryRefused(SchemaError):
    """The registry, or what answers at its address, refuses in a way that waiting does not mend.

    Attributes:
        detail: What was asked and what was answered, without secrets.
        advice: Which setting to look at.
        status: HTTP status, 0 when no request was answered.
    """

    def __init__(self, detail: str, advice: str, *, status: int = 0) -> None:
        super().__init__(f"the schema registry refused: {detail}; {advice}")
        self.detail, self.advice, self.status = detail, advice, status


class SchemaNotFound(SchemaError):
    """The registry answered that it has no such schema.

    Attributes:
        schema_id: The id asked for, 0 when a subject was asked for.
        subject: The subject asked for, empty when an id was asked for.
    """

    def __init__(self, schema_id: int = 0, subject: str = "") -> None:
        what = f"no such schema under subject {subject!r}" if subject else f"no schema with id {schema_id}"
        super().__init__(f"the schema registry has {what}")
        self.schema_id, self.subject = schema_id, subject


class SchemaIncompatible(SchemaError):
    """A reader schema cannot read everything that a writer schema writes.

    Attributes:
        what: The two sides, for example ``subject audit.events-value`` or ``schema id 7``.
        problems: One sentence each, naming the place in the schema.
    """

    def __init__(self, what: str, problems: Sequence[str]) -> None:
        super().__init__(f"incompatible schema ({what}):\n{_listed(problems)}")
        self.what, self.problems = what, list(problems)


class SchemaUnsupported(SchemaError):
    """A schema uses a construct that Avro allows and auditstream does not read.

    Attributes:
        place: Path in the schema, for example ``AuditEvent.details``.
        detail: The construct, and what is supported instead.
    """

    def __init__(self, place: str, detail: str) -> None:
        super().__init__(f"unsupported schema at {place}: {detail}")
        self.place, self.detail = place, detail


class SchemaInvalid(SchemaError):
    """A schema is not valid Avro.

    Attributes:
        place: Where it came from or the path in it.
        detail: What is wrong.
    """

    def __init__(self, place: str, detail: str) -> None:
        super().__init__(f"invalid schema at {place}: {detail}")
        self.place, self.detail = place, detail


class RecordInvalid(SchemaError):
    """A record does not fit the schema it should be encoded with.

    Attributes:
        problems: One sentence each, naming field, value and what was expected.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("the record does not fit its schema:\n" + _listed(problems))
        self.problems = list(problems)


class PayloadInvalid(SchemaError):
    """Bytes are not one whole message in the Confluent wire format and the expected schema.

    Attributes:
        detail: What is wrong, with the value found.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(f"not a message of this schema: {detail}")
        self.detail = detail


class CatalogueError(SchemaError):
    """One or more catalogue files are wrong.

    Attributes:
        problems: One sentence each, naming file, line, value and what was expected.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("the event catalogue cannot be used:\n" + _listed(problems))
        self.problems = list(problems)
