"""Artefacts by exact coordinates, checked against pinned digests, fetched once into the user's cache.

`pinned/<name>.txt` has a line for each: sha256, size in bytes, Maven coordinates. A download that breaks off goes on
where it stopped; one whose digest differs is deleted and refused.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import ssl
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import certifi
import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from local import maven
from local.supervise import ServiceError

_PINNED = Path(__file__).with_name("pinned")
_ATTEMPTS = 5
_AT_ONCE = 6
_CHUNK = 1 << 18


class DownloadError(ServiceError):
    """An artefact can't be had, or isn't the one that was pinned."""


@dataclass(frozen=True)
class Artefact:
    """One file: its digest, its size in bytes, and its coordinates as `maven.path_of` takes them."""

    sha256: str
    size: int
    coordinates: str

    @property
    def path(self) -> str:
        """Below a repository's address, and below the cache."""
        return maven.path_of(self.coordinates)


def cache() -> Path:
    """The user's cache of this project."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "kasbah"


def pinned(name: str) -> list[Artefact]:
    """The artefacts of `pinned/<name>.txt`."""
    lines = (_PINNED / f"{name}.txt").read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return [Artefact(digest, int(size), coordinates) for digest, size, coordinates in rows]


def fetch(artefacts: Sequence[Artefact], title: str) -> list[Path]:
    """The artefacts as files of the cache, in their order, fetched where they are missing.

    Those already there are checked by size; those that come, by digest. Raises DownloadError.
    """
    folder = cache() / "maven"
    files = [folder / artefact.path for artefact in artefacts]
    if all(map(_is_there, files, artefacts)):
        return files
    with _alone(folder):
        missing = [pair for pair in zip(artefacts, files, strict=True) if not _is_there(pair[1], pair[0])]
        if missing:
            _fetch_all(missing, title)
    return files


def unpacked(archive: Path, name: str, into: Path, adapt: Callable[[Path], None] | None = None) -> Path:
    """The zip file's content in the folder `into/name`, unpacked once and in one step; `adapt` may change it before.

    Files that are executable in the archive are so here.
    """
    target = into / name
    if target.is_dir():
        return target
    with _alone(into):
        if target.is_dir():
            return target
        fresh = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=into))
        try:
            with zipfile.ZipFile(archive) as content:
                for entry in content.infolist():
                    file = Path(content.extract(entry, fresh))
                    if entry.external_attr >> 16 & 0o111 and file.is_file():
                        file.chmod(0o755)
            if adapt:
                adapt(fresh)
            fresh.chmod(0o755)
            fresh.rename(target)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return target


def _is_there(file: Path, artefact: Artefact) -> bool:
    return file.is_file() and file.stat().st_size == artefact.size


def _fetch_all(missing: Sequence[tuple[Artefact, Path]], title: str) -> None:
    source = maven.repository()
    context = ssl.create_default_context()
    with contextlib.suppress(OSError):
        context.load_verify_locations(certifi.where())
    login = httpx.BasicAuth(source.user, source.password) if source.user else None
    total = sum(artefact.size for artefact, _ in missing)
    with (
        httpx.Client(auth=login, verify=context, follow_redirects=True, timeout=60) as client,
        _progress(title, total) as advance,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        tasks = [pool.submit(_fetch_one, client, source.url, *pair, advance) for pair in missing]
        try:
            for task in tasks:
                task.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _fetch_one(client: httpx.Client, base: str, artefact: Artefact, file: Path, advance: Callable[[int], None]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    own = maven.local_copies() / artefact.path
    if _is_there(own, artefact) and _digest(own) == artefact.sha256:
        shutil.copyfile(own, part)
        advance(artefact.size)
    else:
        if part.exists():
            advance(part.stat().st_size)
        _download(client, f"{base}/{artefact.path}", artefact, part, advance)
    if part.stat().st_size != artefact.size or _digest(part) != artefact.sha256:
        part.unlink()
        raise DownloadError(
            f"{artefact.coordinates} is not the file that was pinned (its sha256 differs), so it was deleted: "
            "look at what the repository or mirror serves, and try again"
        )
    part.replace(file)


def _download(
    client: httpx.Client, address: str, artefact: Artefact, part: Path, advance: Callable[[int], None]
) -> None:
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(min(2.0**attempt, 10) / 4)
        try:
            _go_on(client, address, artefact.size, part, advance)
        except httpx.TransportError as error:
            why = type(error).__name__
        except httpx.HTTPStatusError as error:
            why = f"answer {error.response.status_code}"
            if error.response.status_code < 500 and error.response.status_code != 429:
                break
        else:
            return
    raise DownloadError(
        f"{artefact.coordinates} can't be downloaded ({why}). What came is kept: run the same command again. Behind a "
        "proxy set HTTPS_PROXY; for a mirror, name it in ~/.m2/settings.xml or set KASBAH_MAVEN to its address"
    )


def _go_on(client: httpx.Client, address: str, size: int, part: Path, advance: Callable[[int], None]) -> None:
    """Append what is missing. A server that can't go on in the middle begins anew."""
    have = part.stat().st_size if part.exists() else 0
    if have == size:
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", address, headers=headers) as answer:
        if answer.status_code == 416 or (have and answer.status_code == 200):
            part.unlink()
            advance(-have)
        if answer.status_code == 416:
            raise httpx.RemoteProtocolError("the server's file is shorter than what is there of it")
        answer.raise_for_status()
        with part.open("ab") as out:
            for chunk in answer.iter_raw(_CHUNK):
                out.write(chunk)
                advance(len(chunk))
                if out.tell() > size:
                    return


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextlib.contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, a line elsewhere; both on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        print(f"Downloading {title} ({total / 1e6:.0f} MB, once)", file=sys.stderr, flush=True)
        yield lambda _: None
        return
    columns = (TextColumn("Downloading {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two that want the same: the second waits, and finds it there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
