"""What is downloaded is what was pinned, comes once, and goes on where it broke off."""

import hashlib
import io
import threading
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from local import download, maven
from local.download import Artefact, DownloadError

CONTENT = bytes(range(256)) * 4000
NAMES = ("one", "two", "three")


class Shelf(ThreadingHTTPServer):
    """A repository on loopback. `hang_up_after` bytes it closes the connection, so many times."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = {artefact(name).path: CONTENT for name in NAMES}
        self.asked: list[tuple[str, str]] = []
        self.logins: list[str] = []
        self.hang_ups = 0
        self.knows_ranges = True
        self.refusals = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/maven2"


class _Handler(BaseHTTPRequestHandler):
    server: Shelf

    def do_GET(self) -> None:
        path = self.path.removeprefix("/maven2/")
        wanted = self.headers.get("Range", "")
        self.server.asked.append((path, wanted))
        self.server.logins.append(self.headers.get("Authorization", ""))
        content = self.server.files.get(path)
        if self.server.refusals:
            self.server.refusals -= 1
            self.send_error(503)
            return
        if content is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.knows_ranges else 0
        if start > len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.server.hang_ups:
            self.server.hang_ups -= 1
            self.wfile.write(content[start : start + len(content) // 3])
            self.close_connection = True
            return
        self.wfile.write(content[start:])

    def log_message(self, *_: object) -> None:
        """Silent."""


def artefact(name: str, content: bytes = CONTENT) -> Artefact:
    return Artefact(hashlib.sha256(content).hexdigest(), len(content), f"org.example:{name}:1.0")


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    with Shelf() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        monkeypatch.setenv("KASBAH_MAVEN", server.url)
        yield server
        server.shutdown()
        thread.join()


def part_of(name: str) -> Path:
    file = download.cache() / "maven" / artefact(name).path
    return file.with_name(file.name + ".part")


def test_artefacts_come_once_in_the_order_asked(shelf: Shelf) -> None:
    for _ in range(2):
        files = download.fetch([artefact(name) for name in NAMES], "Example")
        assert [file.name for file in files] == ["one-1.0.jar", "two-1.0.jar", "three-1.0.jar"]
        assert all(file.read_bytes() == CONTENT for file in files)
    assert len(shelf.asked) == 3


def test_a_download_that_breaks_off_goes_on_where_it_stopped(shelf: Shelf) -> None:
    shelf.hang_ups = 2
    (file,) = download.fetch([artefact("one")], "Example")
    assert file.read_bytes() == CONTENT
    starts = [int(wanted.removeprefix("bytes=").rstrip("-") or 0) for _, wanted in shelf.asked]
    assert starts[0] == 0 and starts == sorted(starts) and starts[-1] > len(CONTENT) // 3


def test_what_an_earlier_command_got_is_not_fetched_again(shelf: Shelf) -> None:
    part = part_of("one")
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:300_000])
    (file,) = download.fetch([artefact("one")], "Example")
    assert file.read_bytes() == CONTENT and not part.exists()
    assert [wanted for _, wanted in shelf.asked] == ["bytes=300000-"]


def test_a_server_that_cannot_go_on_in_the_middle_begins_anew(shelf: Shelf) -> None:
    shelf.knows_ranges, shelf.hang_ups = False, 1
    (file,) = download.fetch([artefact("one")], "Example")
    assert file.read_bytes() == CONTENT


def test_a_server_that_is_busy_is_asked_again(shelf: Shelf) -> None:
    shelf.refusals = 2
    (file,) = download.fetch([artefact("one")], "Example")
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize("served", [CONTENT[:-1] + b"?", CONTENT[:-1], CONTENT + b"?"], ids=["other", "short", "long"])
def test_a_file_that_is_not_the_pinned_one_is_refused_and_deleted(shelf: Shelf, served: bytes) -> None:
    shelf.files[artefact("one").path] = served
    with pytest.raises(DownloadError, match=r"org.example:one:1.0 is not the file that was pinned"):
        download.fetch([artefact("one")], "Example")
    assert not [found for found in (download.cache() / "maven").rglob("one*") if found.is_file()]


def test_a_missing_artefact_is_one_sentence_and_no_second_try(shelf: Shelf) -> None:
    with pytest.raises(DownloadError, match=r"org.example:four:1.0 can't be downloaded \(answer 404\)"):
        download.fetch([artefact("four")], "Example")
    assert len(shelf.asked) == 1


def test_what_maven_has_on_this_machine_is_not_fetched_if_it_is_the_pinned_one(shelf: Shelf) -> None:
    for name, content in (("one", CONTENT), ("two", b"?" * len(CONTENT))):
        own = maven.local_copies() / artefact(name).path
        own.parent.mkdir(parents=True)
        own.write_bytes(content)
    files = download.fetch([artefact("one"), artefact("two")], "Example")
    assert all(file.read_bytes() == CONTENT for file in files)
    assert [path for path, _ in shelf.asked] == [artefact("two").path]


def test_the_mirror_of_the_users_maven_settings_is_asked_as_who_they_say(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KASBAH_MAVEN")
    monkeypatch.setenv("MIRROR_PASSWORD", "made-up")
    home = Path.home()
    (home / ".m2").mkdir(parents=True)
    (home / ".m2" / "settings.xml").write_text(
        '<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0">'
        "<servers><server><id>other</id><username>x</username><password>x</password></server>"
        "<server><id>m</id><username>reader</username><password>${env.MIRROR_PASSWORD}</password></server></servers>"
        "<mirrors><mirror><id>n</id><mirrorOf>plugins</mirrorOf><url>http://unused.example</url></mirror>"
        f"<mirror><id>m</id><mirrorOf>central</mirrorOf><url>{shelf.url}/</url></mirror></mirrors></settings>"
    )
    assert "made-up" not in repr(maven.repository())
    (file,) = download.fetch([artefact("one")], "Example")
    assert file.read_bytes() == CONTENT
    assert shelf.logins == ["Basic " + b64encode(b"reader:made-up").decode()]


def test_two_that_want_the_same_fetch_it_once(shelf: Shelf) -> None:
    threads = [threading.Thread(target=download.fetch, args=([artefact("one")], "Example")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shelf.asked) == 1


@pytest.mark.parametrize(
    ("coordinates", "path"),
    [
        ("org.example:a:1.0", "org/example/a/1.0/a-1.0.jar"),
        ("org.example:a:1.0:zip", "org/example/a/1.0/a-1.0.zip"),
        ("org.example:a:1.0:jar:native", "org/example/a/1.0/a-1.0-native.jar"),
    ],
)
def test_coordinates_lead_to_the_path_that_every_repository_has(coordinates: str, path: str) -> None:
    assert maven.path_of(coordinates) == path


@pytest.mark.parametrize("name", ["kafka", "elasticsearch", "cassandra", "mongodb"])
def test_every_service_has_its_artefacts_pinned(name: str) -> None:
    artefacts = download.pinned(name)
    assert artefacts and all(len(one.sha256) == 64 and one.size > 0 for one in artefacts)
    assert len({one.path for one in artefacts}) == len(artefacts)


def archive(folder: Path) -> Path:
    file = folder / "a.zip"
    with zipfile.ZipFile(file, "w") as content:
        program = zipfile.ZipInfo("top/bin/run")
        program.external_attr = 0o755 << 16
        content.writestr(program, "#!/bin/sh\n")
        content.writestr("top/read.me", "text")
    return file


def test_an_archive_is_unpacked_once_with_its_programs(tmp_path: Path) -> None:
    adapted: list[Path] = []
    for _ in range(2):
        folder = download.unpacked(archive(tmp_path), "a-1", tmp_path / "into", adapted.append)
        assert folder == tmp_path / "into" / "a-1"
        assert (folder / "top/bin/run").stat().st_mode & 0o111
        assert not (folder / "top/read.me").stat().st_mode & 0o111
    assert len(adapted) == 1


def test_unpacking_that_fails_leaves_no_half_of_it(tmp_path: Path) -> None:
    broken = tmp_path / "b.zip"
    content = bytearray(archive(tmp_path).read_bytes())
    content[content.index(b"#!/bin/sh")] ^= 1
    broken.write_bytes(content)
    with pytest.raises(zipfile.BadZipFile):
        download.unpacked(broken, "b-1", tmp_path / "into")
    assert [found.name for found in (tmp_path / "into").iterdir()] == [".lock"]


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        content.writestr("../../outside", "text")
    sly = tmp_path / "s.zip"
    sly.write_bytes(buffer.getvalue())
    download.unpacked(sly, "s-1", tmp_path / "deep" / "into")
    assert not list(tmp_path.glob("outside")) and not list((tmp_path / "deep").glob("outside"))
