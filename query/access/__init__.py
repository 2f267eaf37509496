"""Who may read what: tokens, roles, scopes, and the reader that keeps to them."""

from query.access.administration import TokenAdministration
from query.access.errors import (
    AccessError,
    Forbidden,
    SignInFailed,
    TokenInvalid,
    TokenStoreUnavailable,
    TokenUnknown,
)
from query.access.identity import Identity, identity_id
from query.access.personal import PersonalData
from query.access.recording import Caller, Change, NoRecorder, Read, Recorder, SignInMethod
from query.access.rights import ROLES, Right
from query.access.scope import Scope
from query.access.scoped_reader import ScopedReader
from query.access.store import TokenStore
from query.access.token import Token
from query.access.token_request import TokenRequest
from query.access.verifier import TokenVerifier

__all__ = [
    "ROLES",
    "AccessError",
    "Caller",
    "Change",
    "Forbidden",
    "Identity",
    "NoRecorder",
    "PersonalData",
    "Read",
    "Recorder",
    "Right",
    "Scope",
    "ScopedReader",
    "SignInFailed",
    "SignInMethod",
    "Token",
    "TokenAdministration",
    "TokenInvalid",
    "TokenRequest",
    "TokenStore",
    "TokenStoreUnavailable",
    "TokenUnknown",
    "TokenVerifier",
    "identity_id",
]
