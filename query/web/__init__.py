"""The server-rendered page. How to add a page, in ten lines.

1. Write ``query/web/things.py`` with ``async def things(visit: Visit) -> Response`` and
   ``PAGES = (PageRoute("/things", things, name="things", section="Things", right=Right.EVENTS, group="Log"),)``;
   ``section=None`` keeps it out of the navigation. Add the module to ``query/web/pages.py``, at its place in it.
2. Read by ``await visit.read(lambda reader: reader.page(visit.question(), limit=50, cursor=…))``: a ``ScopedReader`` on a
   thread. Then ``visit.record(question, rows=…)``. Raise what reads raise, or ``Problem``: it becomes a page.
3. Answer by ``visit.page("things.html", rows=…)``; extend ``base.html`` (blocks title, content, scripts) and write
   ``{% import "macros.html" as m with context %}``. Every text of a record goes through ``m.text(…)``, every time through
   ``m.time(…)``, every heading above times has ``{{ m.times_in() }}``. Undefined names are errors. Nothing inline: no
   ``style=``, no ``onclick=``, no ``<script>`` with content; styles go to page.css, scripts to ``static/*.js``.
4. Post: ``methods=POST``, ``fields = await visit.form()`` (checks ``{{ m.form_key() }}``), then ``visit.redirect("/things",
   notice="Done.")``. ``visit.need(Right.EXPORT, "exports")`` refuses; templates ask ``may("export")``.
5. Links: ``{{ here(sort="ip", cursor=none) }}`` changes this address, ``{{ link("/events/" ~ id, tz="UTC") }}`` is another
   one, ``page_url("things")`` is the path of a page or none when it does not exist here.
6. What a page needs beyond the reader (a job runner, a store) is handed to ``site_routes(…, parts=[jobs])``, named in
   ``PageRoute.needs`` and taken by ``visit.part(ExportJobs)``. A way to sign in is a ``SignInWay`` in
   ``ways=[…]``.

Templates get: ``visit token zone csrf notice here link page_url reachable may navigation current request_id static``;
``reachable("/exports/new")`` tells whether a page exists and its visitor may see it.
"""

from query.web.page import GET, POST, GuestRoute, PageRoute, SignInWay
from query.web.session import Session
from query.web.site import site_routes
from query.web.visit import Guest, Visit

__all__ = [
    "GET",
    "POST",
    "Guest",
    "GuestRoute",
    "PageRoute",
    "Session",
    "SignInWay",
    "Visit",
    "site_routes",
]
