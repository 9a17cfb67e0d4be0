"""A proxy in front of an upstream node: counts what is asked, and misbehaves as it is told."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[[BaseHTTPRequestHandler], bool]
"""Answers a request instead of the upstream node; returns whether it did."""


class UpstreamProxy:
    """Forwards to ``target``; ``faults`` are used up one per request, then all goes well."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.faults: list[Fault] = []
        self.asked: Counter[str] = Counter()
        self.request_count = 0
        self.is_stopped = False
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if proxy.is_stopped:
                    self.close_connection = True
                    return
                with proxy._lock:
                    proxy.request_count += 1
                    fault = proxy.faults.pop(0) if proxy.faults else None
                if fault is not None and fault(self):
                    return
                message = json.loads(body)
                with proxy._lock:
                    for call in message if isinstance(message, list) else [message]:
                        proxy.asked[json.dumps([call["method"], call["params"]])] += 1
                host = proxy.target.removeprefix("http://").partition("/")[0]
                connection = http.client.HTTPConnection(host, timeout=30)
                connection.request("POST", "/", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                reply(self, answer.status, answer.read())
                connection.close()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # a client that went away is part of the tests

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def state_keys(self) -> Counter[str]:
        """How often each part of the state was asked for."""
        methods = ("eth_getBalance", "eth_getCode", "eth_getTransactionCount", "eth_getStorageAt")
        return Counter({key: count for key, count in self.asked.items() if json.loads(key)[0] in methods})

    def stop(self) -> None:
        """Go away: connections are refused from now on, and those that are open end."""
        self.is_stopped = True
        self._server.shutdown()
        self._server.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def rate_limited(handler: BaseHTTPRequestHandler) -> bool:
    reply(handler, 429, b"slow down", Retry_After="0.05")
    return True


def broken(handler: BaseHTTPRequestHandler) -> bool:
    reply(handler, 503, b"down for maintenance")
    return True


def garbage(handler: BaseHTTPRequestHandler) -> bool:
    reply(handler, 200, b"<html>\xff</html>")
    return True


def cut_off(handler: BaseHTTPRequestHandler) -> bool:
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{")
    return True


def slow(handler: BaseHTTPRequestHandler) -> bool:
    time.sleep(1.0)
    return False


@contextmanager
def upstream_proxy(target: str) -> Iterator[UpstreamProxy]:
    proxy = UpstreamProxy(target)
    try:
        yield proxy
    finally:
        proxy.stop()
