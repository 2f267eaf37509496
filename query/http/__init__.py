"""Reading the log over HTTP: one ASGI application over the reader of ``query.access``."""

from query.http.app import build_app
from query.http.readers import Readers
from query.http.resend import Resends
from query.http.service import ReadService

__all__ = ["ReadService", "Readers", "Resends", "build_app"]
