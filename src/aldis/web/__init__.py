"""The dashboard: signals, deliveries and dead letters in a browser.

::

    from aldis.web import Dashboard

    dashboard = Dashboard(outbox, access=who)
    app.register_blueprint(dashboard.blueprint(), url_prefix="/signals")    # Flask
    app.mount("/signals", dashboard.asgi)                                   # Starlette, FastAPI
"""

from __future__ import annotations

from aldis._optional import needs

with needs("aldis.web", "web", jinja2="Jinja2"):
    from aldis.web.access import Access, AccessFunction, Grant
    from aldis.web.dashboard import Dashboard
    from aldis.web.messages import Request, Response

__all__ = ["Access", "AccessFunction", "Dashboard", "Grant", "Request", "Response"]
