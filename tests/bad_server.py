"""A web server on this machine that misbehaves on purpose."""
from __future__ import annotations

import contextlib
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class BadServer:
    """Serves `files` (path -> bytes) at `address`; `mode` says what goes wrong. `ranges` notes each request's Range.

    Modes: "fine"; "cut" (each answer breaks off after 100,000 to 400,000 bytes), "cut without ranges" (the first two
    break off, and none begins in the middle), "too long" and "too short" (the Content-Length), "404", "503 twice",
    "503", "circle" (redirects to itself), "drip" (a byte at a time), "hang" (a part, then nothing), "hang at once" (a
    smaller one), "slow" (but steady), "grows" (the file's size changes between answers).

    `refuse(number)` gives the status and the headers with which request `number`, from 1 on, is sent away, or None.
    """

    def __init__(self, files: dict[str, bytes], mode: str = "fine", seed: int = 0, refuse=lambda number: None):
        self.files, self.mode, self.ranges, self.requests = files, mode, [], 0
        self.random, self.closing = random.Random(seed), threading.Event()
        self.refuse, server = refuse, self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.requests += 1
                with contextlib.suppress(ConnectionError):  # the client leaves when it has what it wants
                    server.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self) -> BadServer:
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        body, wish = self.files.get(request.path), request.headers.get("Range")
        self.ranges.append(wish)
        if refusal := self.refuse(self.requests):
            request.send_response_only(refusal[0])
            for header in ({"Content-Length": "0"} | refusal[1]).items():
                request.send_header(*header)
            return request.end_headers()
        status = 404 if self.mode == "404" or body is None else 200
        if self.mode == "503" or self.mode == "503 twice" and self.requests <= 2:
            status = 503
        if self.mode == "circle":
            status = 302
        if status != 200:
            request.send_response(status)
            request.send_header("Location", request.path)
            request.send_header("Content-Length", "0")
            return request.end_headers()
        if self.mode == "grows":
            body += b"!" * self.requests
        start, whole = 0, len(body)
        if wish and "without ranges" not in self.mode:
            start = int(wish.removeprefix("bytes=").rstrip("-"))
            if start >= whole:
                request.send_response(416)
                request.send_header("Content-Length", "0")
                return request.end_headers()
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        else:
            request.send_response(200)
        body = body[start:]
        length = {"too long": len(body) + 1000, "too short": len(body) // 2}.get(self.mode, len(body))
        request.send_header("Content-Length", str(length))
        request.end_headers()
        self.send(request.wfile, body)

    def send(self, to, body: bytes) -> None:
        if self.mode in ("cut", "grows") or self.mode == "cut without ranges" and self.requests <= 2:
            return to.write(body[: self.random.randint(100_000, 400_000)])
        if self.mode.startswith("hang"):
            to.write(body[: 10_000 if "at once" in self.mode else 150_000])
            return self.closing.wait(30)
        if self.mode in ("drip", "slow"):
            size = 1 if self.mode == "drip" else 4000
            for k in range(0, len(body), size):
                if self.closing.is_set():
                    return None
                to.write(body[k : k + size])
                time.sleep(0.01)
            return None
        return to.write(body)
