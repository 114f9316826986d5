"""Making the file: pg_dump in custom format, through zstd and perhaps age, to a name that is renamed at the end.

pg_dump writes plain (`-Z0`) and zstd is applied here: pg_dump knows zstd from PostgreSQL 16 on only, and a
pg_restore that was built without it could not read such a file (docs/adr/0039).
"""

import errno
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import pyrage
import zstandard

from khaacho import logs
from monitoring.backups import encryption, server, streams
from monitoring.backups.encryption import Keys
from monitoring.backups.faults import BackupFailed
from monitoring.backups.server import Place
from monitoring.backups.shelf import Kept

LEVEL = 3
THREADS = 2
LOCK_WAIT = "120s"  # for a table that somebody holds: longer would queue the site behind us
FREE_MARGIN = 1.2
FREE_LEAST = 64 * 2**20
OPTIONS = (
    "-Fc",
    "-Z0",
    "--no-publications",
    "--no-subscriptions",
    f"--lock-wait-timeout={LOCK_WAIT}",
)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Dumped:
    """What was written: the file's bytes and their SHA-256, how many bytes pg_dump gave, and its major version."""

    size: int
    sha256: str
    dumped: int
    version: int


def room_needed(database_size: int, last: Kept | None) -> int:
    """Return the bytes that the next file may take: as the last one was to its database, and a margin."""
    if last is not None and last.manifest.database_size:
        share = last.manifest.size / last.manifest.database_size
        return int(share * database_size * FREE_MARGIN) + FREE_LEAST
    return database_size // 2 + FREE_LEAST


def check_room(directory: Path, needed: int) -> None:
    """Raises BackupFailed when the disk has less."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise BackupFailed(
            f"{directory} has {_mb(free)} MB free, and the backup may need {_mb(needed)} MB."
            " Make room, or keep fewer: --retention-days. Nothing was written."
        )


def dump(
    place: Place, snapshot: str, target: Path, keys: Keys, progress: Callable[[int], None]
) -> Dumped:
    """Write a dump of the snapshot to `target`, whole and on the disk; nothing of it is left on any failure.

    Raises BackupFailed in words, and what `progress` raises.
    """
    draft = target.with_name(f".{target.name}.partial")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb", buffering=0) as file:
            written = _write(place, snapshot, file, keys, progress)
            os.fsync(file.fileno())
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise in_words(error, target) from error
        raise
    return written


def publish(target: Path) -> None:
    """Give the finished file its name."""
    target.with_name(f".{target.name}.partial").rename(target)


def discard(target: Path) -> None:
    target.with_name(f".{target.name}.partial").unlink(missing_ok=True)


def in_words(error: OSError, target: Path) -> BackupFailed:
    if error.errno in FULL:
        return BackupFailed(
            f"The disk of {target.parent} is full. The unfinished file was removed, the older backups stand:"
            " make room and run it again."
        )
    return BackupFailed(f"{target.parent} cannot be written: {error.strerror or error}.")


def _write(
    place: Place, snapshot: str, file: IO[bytes], keys: Keys, progress: Callable[[int], None]
) -> Dumped:
    with place.connect() as session:
        program = server.program("pg_dump", session.info.server_version // 10_000)
    with _pg_dump(program, place, snapshot) as output:
        source = streams.Source(output, progress)
        sink = pack(source, file, keys)
    return Dumped(sink.count, sink.sha256.hexdigest(), source.count, server.major_of(program))


def pack(source: streams.Source, file: IO[bytes], keys: Keys) -> streams.Sink:
    """Compress what the source gives into an unbuffered file, encrypted where there are keys; return its count
    and hash. Raises BackupFailed, and what the source and the file raise."""
    sink = streams.Sink(_Whole(file))
    compressor = zstandard.ZstdCompressor(level=LEVEL, threads=THREADS, write_checksum=True)
    packed = compressor.stream_reader(cast("IO[bytes]", source))
    if keys.encrypts:
        _encrypted(packed, sink, source, keys)
    else:
        streams.copy(packed, sink)
    return sink


def _encrypted(packed: IO[bytes], sink: streams.Sink, source: streams.Source, keys: Keys) -> None:
    try:
        encryption.encrypt(packed, sink, keys)
    except pyrage.EncryptError as error:
        own = sink.error or source.error
        if own is not None:
            raise own from error
        raise BackupFailed(f"It could not be encrypted: {error}.") from error


class _Whole:
    """Writes all of a chunk: an unbuffered file may take less."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            view = view[self.file.write(view) :]


@contextmanager
def _pg_dump(program: Path, place: Place, snapshot: str) -> Iterator[IO[bytes]]:
    """Yield pg_dump's output; end it whatever happens. Raises BackupFailed with what it said."""
    command = [
        str(program),
        *OPTIONS,
        f"--snapshot={snapshot}",
        f"--dbname={place.argument}",
    ]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - a program that was found, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            env=place.environment,
        )
        assert process.stdout is not None
        try:
            yield process.stdout
            code = process.wait()
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
        if code:
            said.seek(0)
            raise BackupFailed(f"pg_dump failed: {words(said.read())}")


def words(said: bytes) -> str:
    """Return the end of what a program said, in one line and without secrets."""
    return logs.scrub(" ".join(said.decode(errors="replace").split())[-600:])


def sha256_of(path: Path, progress: Callable[[int], None] = lambda _: None) -> tuple[str, int]:
    """Return the SHA-256 and the size of a file, read from the disk."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(streams.CHUNK):
            digest.update(chunk)
            size += len(chunk)
            progress(size)
    return digest.hexdigest(), size


def _mb(count: int) -> str:
    return f"{count / 2**20:,.0f}"
