"""A slow https server behind its own proxy, which answers for every host."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from pathlib import Path

CHUNK = 1 << 14


class SlowServer:
    """Sends as many chunks of zeros as `send` permits."""

    def __init__(self, folder: Path, host: str) -> None:
        """Make a certificate for `host` in the folder; OSError if there is no openssl."""
        self.certificate = folder / "certificate.pem"
        key = folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}",
             "-keyout", key, "-out", self.certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate, key)
        self.chunks = 4000
        self._permits = threading.Semaphore(0)
        self._closed = False
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.asked = 0
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that make a program use and trust this server."""
        port = self._listening.getsockname()[1]
        return {"https_proxy": f"http://127.0.0.1:{port}", "SSL_CERT_FILE": str(self.certificate)}

    def send(self, chunks: int) -> None:
        """Permit so many more chunks."""
        self._permits.release(chunks)

    def close(self) -> None:
        """Cut every connection."""
        self._closed = True
        self._permits.release(1)
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection, contextlib.suppress(OSError):
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        _read_head(connection)
        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with self._tls.wrap_socket(connection, server_side=True) as secure:
            _read_head(secure)
            self.asked += 1
            secure.sendall(
                f"HTTP/1.1 200 OK\r\nContent-Length: {self.chunks * CHUNK}\r\n\r\n".encode()
            )
            for _ in range(self.chunks):
                self._permits.acquire()
                if self._closed:
                    return
                secure.sendall(bytes(CHUNK))


def _read_head(connection: socket.socket) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1) or b"\r\n\r\n"
