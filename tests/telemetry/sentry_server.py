"""A Sentry that takes events on 127.0.0.1 and keeps them."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


class SentryServer:
    """`dsn` leads here."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        """Bodies and headers as they came."""
        self.events: list[dict[str, Any]] = []
        sentry = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                sentry.take(str(self.headers).encode(), body)
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.dsn = f"http://public@127.0.0.1:{self._server.server_address[1]}/1"

    def take(self, head: bytes, envelope: bytes) -> None:
        """An envelope: a header line, then a header line and a line of content for each item."""
        self.raw += [head, envelope]
        lines = envelope.splitlines()
        for place in range(1, len(lines) - 1, 2):
            if orjson.loads(lines[place]).get("type") == "event":
                self.events.append(orjson.loads(lines[place + 1]))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
