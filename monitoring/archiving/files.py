"""A month in a file: CSV through zstd, encrypted as backups are, and what it is in a JSON file beside it.

`khaacho_audit_logs_2024_03.csv.zst` (`.age` when it is encrypted) and `….json`. An archive exists exactly
if its JSON file does, which is renamed last. Neither is ever written over or removed by Khaacho.
"""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

import psycopg
import pyrage
import zstandard
from django.utils import timezone
from psycopg import sql as compose

from khaacho import months
from khaacho.months import Part
from monitoring import health
from monitoring.backups import dumping, encryption, manifest, restoring, streams
from monitoring.backups.encryption import Keys
from monitoring.backups.faults import BackupFailed, Unreadable
from monitoring.backups.server import Connection

FORMAT = 1
DIRECTORY = "archive"  # beneath BACKUP_DIR
MAX_BYTES = 1 << 20  # of a JSON file; more is none
# What a row is written as must not depend on who writes it.
WORDS = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET client_encoding = 'UTF8'"
COLUMNS = """
SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
"""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """What a file holds. `size` and `sha256` are of the file as it lies there, `plain_sha256` of the CSV in it.

    `since` is None for the oldest part, which holds whatever is older than `until`.
    """

    table: str
    part: str
    since: datetime | None
    until: datetime
    columns: Sequence[str]
    rows: int
    file: str
    size: int
    sha256: str
    plain_sha256: str
    encrypted: bool
    database: str
    server_version: int
    release: str
    host: str
    written_at: datetime


@dataclass(frozen=True)
class Content:
    """The rows of a table, and the SHA-256 of them as CSV, in the order of their ids."""

    rows: int
    sha256: str


def place_of(directory: Path, name: str, *, encrypted: bool) -> Path:
    """Return the file of a part, be it there or not."""
    return directory / f"khaacho_{name}.csv.zst{'.age' if encrypted else ''}"


def beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def find(directory: Path, name: str) -> Path | None:
    """Return the file of a part that is there, whether it has its JSON file or not."""
    both = (place_of(directory, name, encrypted=encrypted) for encrypted in (True, False))
    return next((path for path in both if path.exists() or beside(path).exists()), None)


def columns_of(session: Connection, name: str) -> list[str]:
    row = session.execute(COLUMNS, [f"{months.SCHEMA}.{name}"]).fetchone()
    assert row is not None
    found: list[str] = row[0]
    return found


def content(session: Connection, name: str, columns: Sequence[str]) -> Content:
    """Read a part from its first row to its last."""
    digest = hashlib.sha256()
    with closing(session.cursor()) as cursor, cursor.copy(_copy_out(name, columns)) as rows:
        while block := rows.read():
            digest.update(block)
    return Content(_count(session, name), digest.hexdigest())


def write(
    session: Connection,
    part: Part,
    table: str,
    directory: Path,
    keys: Keys,
    progress: Callable[[int], None],
) -> Archive:
    """Write a part that nobody writes to any more. Raises BackupFailed in words: then nothing of it is left."""
    target = place_of(directory, part.name, encrypted=keys.encrypts)
    columns, draft = columns_of(session, part.name), target.with_name(f".{target.name}.partial")
    draft.unlink(missing_ok=True)  # what a run that was killed left; we are alone
    expected = bytes_of(session, part.name)
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with (
            os.fdopen(handle, "wb", buffering=0) as file,
            closing(session.cursor()) as cursor,
            cursor.copy(_copy_out(part.name, columns)) as rows,
        ):
            source = streams.Source(
                cast("IO[bytes]", _Blocks(rows)),
                lambda count: progress(min(99, 100 * count // expected)),
            )
            source.hashing = True
            sink = dumping.pack(source, file, keys)
            os.fsync(file.fileno())
        _publish(draft, target)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise dumping.in_words(error, target) from error
        raise
    progress(100)
    plain = Content(_count(session, part.name), source.sha256.hexdigest())
    return describe(session, part, table, target, columns, plain, (sink.count, sink.sha256))


def describe(
    session: Connection,
    part: Part,
    table: str,
    path: Path,
    columns: Sequence[str],
    plain: Content,
    found: tuple[int, Any] | None = None,
) -> Archive:
    """Write the JSON file of a file that is there, which makes it an archive. `found`: its size and its hash."""
    if found is None:
        digest, size = dumping.sha256_of(path)
    else:
        size, digest = found[0], found[1].hexdigest()
    assert part.until is not None
    archive = Archive(
        table=table,
        part=part.name,
        since=part.since,
        until=part.until,
        columns=columns,
        rows=plain.rows,
        file=path.name,
        size=size,
        sha256=digest,
        plain_sha256=plain.sha256,
        encrypted=path.suffix == ".age",
        database=session.info.dbname,
        server_version=session.info.server_version,
        release=health.version(),
        host=socket.gethostname(),
        written_at=timezone.now(),
    )
    text = json.dumps({"format": FORMAT, **asdict(archive)}, default=str, indent=1)
    draft = path.with_name(f".{path.name}.json.partial")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _publish(draft, beside(path))
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise dumping.in_words(error, path) from error
    return archive


def read(path: Path) -> Archive:
    """Return what the JSON file beside a file says. Raises Unreadable."""
    about = beside(path)
    try:
        with about.open("rb") as file:
            fields: dict[str, Any] = json.loads(file.read(MAX_BYTES))
        if fields.pop("format") != FORMAT:
            raise Unreadable(
                f"{about.name} was written by a newer Khaacho: restore it with that one."
            )
        for name in ("since", "until", "written_at"):
            fields[name] = fields[name] and datetime.fromisoformat(fields[name])
        found = Archive(**fields)
        sound = found.file == path.name and found.table in months.TABLES
        sound = sound and isinstance(found.until, datetime)
        sound = sound and found.part.startswith(f"{found.table}_") and found.part.isidentifier()
    except FileNotFoundError:
        raise Unreadable(
            f"There is no {about.name} beside it: without that nobody knows whether the file is whole."
        ) from None
    except OSError as error:
        raise Unreadable(f"{about} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"{about.name} says nothing of an archive, or is damaged.") from error
    if not sound:
        raise Unreadable(f"{about.name} is of another file than {path.name}, or is damaged.")
    return found


def check(path: Path, archive: Archive, keys: Keys) -> None:
    """Read the file back to its last row: it must be what was written. Raises Unreadable."""
    sink = streams.Sink(_Nowhere())
    unpack(path, archive, keys, sink)
    if sink.sha256.hexdigest() != archive.plain_sha256:
        raise Unreadable(f"The rows in {path.name} are not those that were written.")


def unpack(path: Path, archive: Archive, keys: Keys, sink: streams.Sink) -> None:
    """Write a file's CSV to the sink, whose own errors come through. Raises Unreadable."""
    with path.open("rb") as file:
        source = streams.Source(file)
        source.hashing = True
        decompressor = zstandard.ZstdDecompressor()
        try:
            with decompressor.stream_writer(cast("IO[bytes]", sink), closefd=False) as unpacked:
                if archive.encrypted:
                    encryption.decrypt(source, restoring.Target(unpacked), keys)
                else:
                    streams.copy(source, unpacked)
        except (pyrage.DecryptError, zstandard.ZstdError, OSError) as error:
            if sink.error is not None:
                raise sink.error from error
            raise Unreadable(f"{path.name} cannot be read: {error}.") from error
    if (source.count, source.sha256.hexdigest()) != (archive.size, archive.sha256):
        raise Unreadable(f"{path.name} is not the file that was written: its SHA-256 is another.")


def _publish(draft: Path, target: Path) -> None:
    """Give a finished file its name for good; only for who is alone in the directory."""
    if target.exists():
        raise BackupFailed(f"{target} is there already and is not written over: move it away.")
    draft.rename(target)
    manifest.sync_directory(target.parent)


def _copy_out(name: str, columns: Sequence[str]) -> compose.Composed:
    return compose.SQL(
        "COPY (SELECT {} FROM ONLY {} ORDER BY id, created_at) TO STDOUT (FORMAT csv, HEADER)"
    ).format(
        compose.SQL(", ").join(map(compose.Identifier, columns)),
        compose.Identifier(months.SCHEMA, name),
    )


def _count(session: Connection, name: str) -> int:
    counted = compose.SQL("SELECT count(*) FROM ONLY {}")
    row = session.execute(counted.format(compose.Identifier(months.SCHEMA, name))).fetchone()
    assert row is not None
    return int(row[0])


def bytes_of(session: Connection, name: str) -> int:
    """Return what the rows of a part take, without their indexes; at least 1."""
    size = "SELECT greatest(1, pg_relation_size(%s::regclass))"
    row = session.execute(size, [f"{months.SCHEMA}.{name}"]).fetchone()
    assert row is not None
    return int(row[0])


class _Blocks:
    """PostgreSQL's rows in blocks of the size that is asked for."""

    def __init__(self, rows: psycopg.Copy) -> None:
        self.rows = rows
        self.left = bytearray()

    def read(self, size: int) -> bytes:
        while len(self.left) < size and (block := self.rows.read()):
            self.left += block
        given = bytes(self.left[:size])
        del self.left[:size]
        return given


class _Nowhere:
    def write(self, chunk: Any) -> int:
        return len(chunk)
