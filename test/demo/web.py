"""A pod's web server: answers every request with the pod's name.

Usage: web.py NAME PORT...
"""

from __future__ import annotations

import http.server
import socket
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{sys.argv[1]}\n".encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6  # and IPv4
    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that has gone away is no error."""


for port in sys.argv[2:]:
    threading.Thread(target=Server(("::", int(port)), Handler).serve_forever).start()
print("ready", flush=True)
