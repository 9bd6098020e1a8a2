"""Downloads from a real server on this machine that does everything wrong it can."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request

import pytest

from tuitrain.engine.tasks import images
from tuitrain.engine.tasks.download import CannotDownload, _StayOnHttps, fetch

CONTENT = bytes(range(256)) * 1000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    content, promised, stalls, asked = CONTENT, len(CONTENT), False, 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.let_go = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.gz"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        server.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(server.promised))
        self.end_headers()
        if server.stalls:
            server.let_go.wait()
        else:
            self.wfile.write(server.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.let_go.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / "file.gz"


def files_in(target: Path) -> list[Path]:
    return list(target.parent.iterdir())


def test_a_file_comes_whole_with_progress_and_only_once(server: Server, target: Path):
    reports = []
    for _ in range(2):
        fetch(server.url, target, md5=MD5, report=lambda *args: reports.append(args))

    assert target.read_bytes() == CONTENT
    assert reports[-1] == ("downloading file.gz", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in reports] == sorted(done for _, done, _ in reports)
    assert server.asked == 1
    assert files_in(target) == [target]


def test_a_damaged_file_is_downloaded_again(server: Server, target: Path):
    fetch(server.url, target, md5=MD5)
    target.write_bytes(CONTENT[:-1])
    fetch(server.url, target, md5=MD5)

    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({"content": CONTENT[:1000]}, "cut after|cannot download"),
        ({"content": bytes(len(CONTENT))}, "digest differs"),
        ({"stalls": True}, "timed out"),
    ],
)
def test_what_does_not_come_right_leaves_nothing_and_can_be_repeated(
    server: Server, target: Path, changes: dict, description: str
):
    for name, value in changes.items():
        setattr(server, name, value)
    with pytest.raises(CannotDownload, match=description):
        fetch(server.url, target, md5=MD5, timeout_s=0.3)
    assert files_in(target) == []

    server.let_go.set()
    server.content, server.stalls = CONTENT, False
    fetch(server.url, target, md5=MD5)
    assert target.read_bytes() == CONTENT


def test_a_host_that_does_not_answer_is_one_sentence(target: Path):
    with pytest.raises(CannotDownload, match="cannot download"):
        fetch("http://127.0.0.1:9/file.gz", target, md5=MD5)
    assert files_in(target) == []


def test_a_download_ends_when_it_is_told_to(server: Server, target: Path):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server.url, target, md5=MD5, report=stop)
    assert files_in(target) == []


def test_every_set_is_fetched_over_https_by_a_pinned_digest():
    for origin in images.ORIGINS.values():
        assert origin.url.startswith("https://")
        assert all(len(md5) == 32 for _, md5 in origin.resources)
    assert images.datasets.CIFAR10.url.startswith("https://")


def test_an_https_address_is_not_left_for_one_without():
    asked = Request("https://example.org/a")
    with pytest.raises(URLError, match="without https"):
        _StayOnHttps().redirect_request(asked, None, 302, "", None, "http://example.org/a")
