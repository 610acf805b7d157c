"""Files are checked before anybody opens them, downloads go on where they broke off, and messages say what to do."""

import hashlib
import http.server
import threading

import pytest

from earshift.errors import UserError
from earshift.storage import downloads
from earshift.storage.downloads import MIRROR, UNPINNED, Remote, fetch, is_official

CONTENT = bytes(range(256)) * 4096  # 1 MiB
MD5, SHA256 = hashlib.md5(CONTENT).hexdigest(), hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Serves CONTENT on loopback; `cuts` says after how many bytes the next responses break off."""

    def __init__(self):
        self.content, self.cuts, self.requests, self.status, self.ranges = CONTENT, [], [], 200, True
        self.linked_etag = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.path, self.headers.get("Range")))
                outer.respond(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def respond(self, handler):
        if self.status != 200:
            handler.send_error(self.status)
            return
        if self.linked_etag and handler.path == "/resolve/file.bin":
            handler.send_response(302)
            handler.send_header("X-Linked-Etag", f'"{self.linked_etag}"')
            handler.send_header("Location", "/blob")
            handler.end_headers()
            return
        asked, start = handler.headers.get("Range"), 0
        if asked and self.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.content):
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{len(self.content)}")
                handler.end_headers()
                return
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(self.content) - start))
        handler.end_headers()
        cut = self.cuts.pop(0) if self.cuts else None
        handler.wfile.write(self.content[start:] if cut is None else self.content[start : start + cut])


@pytest.fixture
def server():
    server = Server()
    yield server
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture(autouse=True)
def quick(workspace, monkeypatch):
    """In an empty folder, without a mirror, and without waiting between tries."""
    monkeypatch.delenv(MIRROR, raising=False)
    monkeypatch.delenv(UNPINNED, raising=False)
    monkeypatch.setattr(downloads.time, "sleep", lambda _: None)


def remote(server=None, **changes):
    urls = (f"{server.url}/file.bin",) if server else ("http://127.0.0.1:9/file.bin",)
    return Remote(**({"file": "file.bin", "urls": urls, "hashes": (("md5", MD5), ("sha256", SHA256))} | changes))


def test_a_file_is_downloaded_once(server, tmp_path):
    path = fetch(remote(server), tmp_path / "downloads")
    assert path == tmp_path / "downloads/file.bin" and path.read_bytes() == CONTENT
    assert fetch(remote(server), tmp_path / "downloads") == path
    assert len(server.requests) == 1 and not list(path.parent.glob("*.part"))


def test_a_download_goes_on_where_it_broke_off(server, tmp_path):
    server.cuts = [300_000, 200_000]
    path = fetch(remote(server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=300000-", "bytes=500000-"]


def test_a_truncated_download_is_kept_and_continued_by_the_next_run(server, tmp_path):
    server.cuts = [1000] * 4
    with pytest.raises(UserError, match="broke off.*keeps 4000 bytes, run again to go on"):
        fetch(remote(server), tmp_path)
    assert (tmp_path / "file.bin.part").stat().st_size == 4000 and not (tmp_path / "file.bin").exists()
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.requests[-1][1] == "bytes=4000-"


def test_a_server_without_ranges_begins_again(server, tmp_path):
    server.cuts, server.ranges = [5000], False
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT


def test_what_is_whole_but_was_not_yet_checked_is_not_downloaded_again(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("/file.bin", f"bytes={len(CONTENT)}-")]


def test_a_part_of_another_file_is_thrown_away(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"x" * (len(CONTENT) + 5))
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT


def test_a_wrong_hash_is_refused_and_thrown_away(server, tmp_path):
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(UserError) as caught:
        fetch(remote(server), tmp_path)
    for part in (server.url, MD5, hashlib.md5(server.content).hexdigest(), MIRROR):
        assert part in str(caught.value)
    assert not list(tmp_path.glob("file.bin*"))


def test_every_pinned_hash_must_hold(server, tmp_path):
    with pytest.raises(UserError, match="expected " + "0" * 64):
        fetch(remote(server, hashes=(("md5", MD5), ("sha256", "0" * 64))), tmp_path)


def test_the_hash_of_a_git_blob(server, tmp_path):
    git = hashlib.sha1(b"blob 1048576\0" + CONTENT).hexdigest()
    assert fetch(remote(server, hashes=(("git-blob", git),)), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("hashes", [(), (("md5", MD5),)])
def test_the_hash_that_the_hub_reports_must_hold_too(server, tmp_path, hashes):
    hub = remote(server, hashes=hashes, urls=(f"{server.url}/resolve/file.bin",))
    server.linked_etag = "0" * 64
    with pytest.raises(UserError, match="expected 0{64}"):
        fetch(hub, tmp_path)
    server.linked_etag = SHA256
    assert fetch(hub, tmp_path).read_bytes() == CONTENT


def test_the_next_address_is_tried(server, tmp_path):
    urls = ("http://127.0.0.1:9/file.bin", f"{server.url}/file.bin")
    assert fetch(remote(urls=urls), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("status, tries", [(404, 1), (503, 4)])
def test_what_a_server_refuses_is_said(server, tmp_path, status, tries):
    server.status = status
    with pytest.raises(UserError, match=f"file.bin cannot be fetched .*{status}"):
        fetch(remote(server), tmp_path)
    assert len(server.requests) == tries


def test_without_network_and_mirror_one_message_says_all(tmp_path):
    with pytest.raises(UserError) as caught:
        fetch(remote(), tmp_path / "downloads", otherwise="; or else")
    message = str(caught.value)
    for part in (
        "file.bin",
        "http://127.0.0.1:9/file.bin",
        "refused",
        str(tmp_path / "downloads"),
        MIRROR,
        MD5,
        SHA256,
    ):
        assert part in message
    assert message.endswith("; or else") and "\n" not in message and "object at" not in message


def test_an_unknown_host_is_said(tmp_path):
    with pytest.raises(UserError, match="cannot be fetched"):
        fetch(remote(urls=("http://no-such-host.invalid/file.bin",)), tmp_path)


def test_a_mirror_folder_is_used_in_place(server, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "file.bin").write_bytes(CONTENT)
    monkeypatch.setenv(MIRROR, str(mirror))
    assert fetch(remote(server), tmp_path / "downloads") == mirror / "file.bin"
    monkeypatch.setenv(MIRROR, f"file://{mirror}")
    assert fetch(remote(server), tmp_path / "downloads") == mirror / "file.bin"
    assert not server.requests and not (tmp_path / "downloads").exists()


def test_a_mirror_address_comes_first(server, tmp_path, monkeypatch):
    monkeypatch.setenv(MIRROR, f"{server.url}/mirror/")
    assert fetch(remote(file="a b=1.bin"), tmp_path).read_bytes() == CONTENT
    assert server.requests[0][0] == "/mirror/a%20b%3D1.bin"


def test_a_mirror_that_lacks_the_file_is_passed_over(server, tmp_path, monkeypatch):
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv(MIRROR, str(tmp_path / "mirror"))
    assert fetch(remote(server), tmp_path) == tmp_path / "file.bin"


def test_a_mirror_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(MIRROR, str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="EARSHIFT_MIRROR is .*nowhere"):
        fetch(remote(), tmp_path)


def test_a_stand_in_is_taken_only_on_purpose(tmp_path, monkeypatch, capsys):
    (tmp_path / "mirror").mkdir()
    stand_in = tmp_path / "mirror/file.bin"
    stand_in.write_bytes(b"other")
    monkeypatch.setenv(MIRROR, str(stand_in.parent))
    with pytest.raises(UserError, match=f"{MD5}.*{UNPINNED}=1"):
        fetch(remote(), tmp_path)
    monkeypatch.setenv(UNPINNED, "1")
    assert fetch(remote(), tmp_path) == stand_in and not is_official(stand_in, remote())
    assert "is not the official file" in capsys.readouterr().err
    stand_in.write_bytes(CONTENT)
    assert is_official(stand_in, remote())


def test_an_official_address_is_never_trusted_without_its_hash(server, tmp_path, monkeypatch):
    server.content = b"other"
    monkeypatch.setenv(UNPINNED, "1")
    with pytest.raises(UserError, match="expected"):
        fetch(remote(server), tmp_path)


def test_a_stand_in_may_come_from_a_mirror_address(server, tmp_path, monkeypatch):
    server.content = b"other"
    monkeypatch.setenv(MIRROR, server.url)
    monkeypatch.setenv(UNPINNED, "1")
    assert fetch(remote(), tmp_path).read_bytes() == b"other"


def test_a_file_cut_short_says_so(tmp_path, monkeypatch):
    (tmp_path / "file.bin").write_bytes(CONTENT[:100])
    with pytest.raises(UserError, match="100 of 1048576 bytes: it was cut short; delete it"):
        fetch(remote(size=len(CONTENT)), tmp_path)


def test_a_full_disk_is_said_before_the_download(server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(UserError, match="GiB left"):
        fetch(remote(server), tmp_path)
