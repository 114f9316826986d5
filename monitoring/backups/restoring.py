"""Reading a file back into a database that nobody uses yet, and comparing what is there with the manifest."""

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import psycopg
import pyrage
import zstandard
from psycopg import sql as compose

from monitoring.backups import contents, dumping, encryption, server, streams
from monitoring.backups.contents import Tables
from monitoring.backups.encryption import Keys
from monitoring.backups.faults import RestoreRefused, Unreadable
from monitoring.backups.manifest import Manifest
from monitoring.backups.server import Connection, Place

# Without these the site works, and only the monitoring says less: a server need not have them.
OPTIONAL_EXTENSIONS = frozenset({"pg_stat_statements", "hypopg", "pgstattuple"})
EXTENSION = re.compile(rb"\d+; \d+ \d+ (?:EXTENSION -|COMMENT - EXTENSION) (\S+)")
GRANT = re.compile(rb"\d+; \d+ \d+ (?:DEFAULT )?ACL ")
AVAILABLE = """
SELECT v.name, bool_or(v.trusted) OR bool_or(r.rolsuper)
FROM pg_available_extension_versions v, pg_roles r WHERE r.rolname = current_user GROUP BY v.name
"""


@dataclass
class Restored:
    """What was put into a database, and in sentences what a person should know of it."""

    tables: Tables
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Lists:
    """pg_restore's list of a dump, parted: what must succeed, and what may lack its role here."""

    wanted: bytes
    grants: bytes
    left_out: Sequence[str]


def check_file(path: Path, manifest: Manifest, progress: Callable[[int], None]) -> None:
    """Read the whole file and compare it with the manifest. Raises Unreadable, having touched nothing."""
    try:
        digest, size = dumping.sha256_of(path, progress)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}.") from error
    if size < manifest.size:
        raise Unreadable(
            f"{path.name} is truncated: it has {size} of {manifest.size} bytes. Nothing was touched."
        )
    if size > manifest.size or digest != manifest.sha256:
        raise Unreadable(
            f"{path.name} is not the file that was written: its SHA-256 is not the manifest's."
            " Nothing was touched."
        )


def create_database(admin: Connection, name: str, like: str, manifest: Manifest) -> list[str]:
    """Create an empty database with the locale of `like`, else of the manifest; return remarks."""
    row = admin.execute(
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database"
        " WHERE datname = %s",
        [like],
    ).fetchone()
    encoding, collate, ctype = row or (manifest.encoding, manifest.collate, manifest.ctype)
    plain = compose.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}").format(
        server.quoted(name), compose.Literal(encoding)
    )
    located = compose.SQL("{} LC_COLLATE {} LC_CTYPE {}").format(
        plain, compose.Literal(collate), compose.Literal(ctype)
    )
    try:
        admin.execute(located)
    except psycopg.errors.InsufficientPrivilege as error:
        role = admin.info.user
        raise RestoreRefused(
            f"The role {role} may not create databases. As superuser: ALTER ROLE"
            f" {server.quoted(role).as_string(admin)} CREATEDB;"
        ) from error
    except psycopg.errors.DiskFull as error:
        raise RestoreRefused("The database server's disk is full: make room.") from error
    except psycopg.Error:  # a locale that this machine lacks
        try:
            admin.execute(plain)
        except psycopg.Error as error:
            raise RestoreRefused(f"{name} cannot be created: {_said(error)}") from error
        return [f"This server does not know the locale {collate}: its own is used."]
    return []


def drop_database(admin: Connection, name: str) -> None:
    admin.execute(
        compose.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(server.quoted(name))
    )


def restore_into(
    place: Place, path: Path, manifest: Manifest, keys: Keys, progress: Callable[[int], None]
) -> Restored:
    """Fill the empty database at `place` from a file that was checked, and count it.

    Raises Unreadable, and RestoreRefused with what pg_restore said. Differences from the manifest are
    sentences for the caller.
    """
    with place.connect() as session:
        # one of the server's own version knows which settings it has
        least = max(manifest.dump_version, session.info.server_version // 10_000)
        program = str(server.program("pg_restore", least))
        lists = _lists(program, path, manifest, keys, session)
        _run(program, place, lists.wanted, path, manifest, keys, progress, strict=True)
        remarks = [f"Extension left out, as this server lacks it: {n}." for n in lists.left_out]
        if lists.grants:
            said = _run(program, place, lists.grants, path, manifest, keys, None, strict=False)
            remarks += [f"Some grants could not be given: {said}"] if said else []
        try:
            session.execute("ANALYZE")
            return Restored(contents.count(session), remarks)
        except psycopg.Error as error:
            raise RestoreRefused(f"The restored copy cannot be read: {_said(error)}") from error


def _lists(program: str, path: Path, manifest: Manifest, keys: Keys, session: Connection) -> _Lists:
    """Ask what is in the dump, and part it by what this server has."""
    with _fed([program, "--list"], None, path, manifest, keys, None) as process:
        process.output.seek(0)
        lines = process.output.read().splitlines(keepends=True)
        said = process.said()
    if not any(re.match(rb"\d+; ", line) for line in lines):
        raise Unreadable(f"{path.name} holds no dump that {program} can read: {said}")
    available: dict[str, bool] = dict(session.execute(AVAILABLE).fetchall())
    wanted, grants, left_out = [], [], set()
    for line in lines:
        extension = EXTENSION.match(line)
        name = extension[1].decode() if extension else ""
        if name in OPTIONAL_EXTENSIONS and not available.get(name):
            left_out.add(name)
        elif GRANT.match(line):
            grants.append(line)
        else:
            wanted.append(line)
    return _Lists(b"".join(wanted), b"".join(grants), sorted(left_out))


def _run(
    program: str,
    place: Place,
    listed: bytes,
    path: Path,
    manifest: Manifest,
    keys: Keys,
    progress: Callable[[int], None] | None,
    *,
    strict: bool,
) -> str:
    """Restore what is listed. Strict: raise RestoreRefused at its first error; else return what it said."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(listed)
        file.flush()
        command = [program, "--no-owner", f"--use-list={file.name}", f"--dbname={place.argument}"]
        command += ["--exit-on-error", "--no-privileges"] if strict else []
        with _fed(command, place, path, manifest, keys, progress) as process:
            code = process.wait()
            said = process.said()
    if strict and code:
        raise RestoreRefused(f"pg_restore failed: {said or f'exit code {code}'}")
    if strict and process.error is not None:
        raise process.error
    return said if code else ""


class _Fed(subprocess.Popen[bytes]):
    """pg_restore, and how feeding it ended."""

    error: BaseException | None = None
    output: IO[bytes]
    complaints: IO[bytes]

    def said(self) -> str:
        self.complaints.seek(0)
        return dumping.words(self.complaints.read())


@contextmanager
def _fed(
    command: Sequence[str],
    place: Place | None,
    path: Path,
    manifest: Manifest,
    keys: Keys,
    progress: Callable[[int], None] | None,
) -> Iterator[_Fed]:
    """Run pg_restore and give it the dump. It may stop listening as soon as it has what it wants.

    Its output, of which only a list has any, is smaller than what a file on the disk may hold.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as said:
        process = _Fed(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=said,
            env=place.environment if place else None,
        )
        process.output, process.complaints = output, said
        try:
            _feed(process, path, manifest, keys, progress)
            process.wait()
            yield process
        finally:
            process.kill()
            process.wait()


def _feed(
    process: _Fed,
    path: Path,
    manifest: Manifest,
    keys: Keys,
    progress: Callable[[int], None] | None,
) -> None:
    """Send the file through the pipes, and hash it again: it must still be the one that was checked."""
    assert process.stdin is not None
    sink = streams.Sink(process.stdin)
    pipe = cast("IO[bytes]", sink)
    with path.open("rb") as file:
        source = streams.Source(file, progress or (lambda _: None))
        source.hashing = True
        try:
            with zstandard.ZstdDecompressor().stream_writer(pipe, closefd=False) as unpacked:
                if manifest.encrypted:
                    encryption.decrypt(source, Target(unpacked), keys)
                else:
                    streams.copy(source, unpacked)
            process.stdin.close()
        except (BrokenPipeError, pyrage.DecryptError, zstandard.ZstdError) as error:
            _close(process)
            if isinstance(sink.error or error, BrokenPipeError):
                return  # it has what it wants, or failed and says why
            if source.error is not None:
                raise source.error from error
            raise Unreadable(f"{path.name} cannot be read: {error}.") from error
    if source.sha256.hexdigest() != manifest.sha256:
        process.error = Unreadable(f"{path.name} changed while it was read.")


def _close(process: _Fed) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()


class Target:
    """What age writes to: zstd, which says how many bytes it made, where age wants how many it took."""

    def __init__(self, unpacked: Any) -> None:
        self.unpacked = unpacked

    def write(self, chunk: Any) -> int:
        self.unpacked.write(chunk)
        return len(chunk)

    def flush(self) -> None:
        """Nothing: the pipe is closed at the end."""


def _said(error: psycopg.Error) -> str:
    return dumping.words((error.diag.message_primary or str(error)).encode())
