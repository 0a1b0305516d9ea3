"""A stand-in for Solr: it accepts every document and never finds one.

Solr is not a Python package. CKAN's pages that render a search fail without
it, on both engines. With the stand-in, they are rendered without results. Tests that search for
stored documents still fail on both engines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

_NOTHING: Final = json.dumps(
    {
        "responseHeader": {"status": 0, "QTime": 0},
        "response": {"numFound": 0, "start": 0, "docs": []},
        "facet_counts": {"facet_queries": {}, "facet_fields": {}},
    }
).encode()
#: CKAN checks only that the schema fits its version.
_SCHEMA: Final = b'<schema name="ckan-2.12" version="1.6"/>'


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Find nothing."""
        body = _SCHEMA if "/schema" in self.path else _NOTHING
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Accept the document, and find nothing."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def log_message(self, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def nothing_found() -> Iterator[str]:
    """Serve on a free port of this machine during the block, and yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/solr/ckan"
        finally:
            server.shutdown()
            thread.join()
