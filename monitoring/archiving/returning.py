"""A month comes back from its file: loaded beside, compared, attached, all of it or nothing."""

import logging
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql as compose

from khaacho import months
from khaacho.months import Part
from monitoring.archiving import files, leaving
from monitoring.archiving.files import Archive
from monitoring.backups import streams
from monitoring.backups.encryption import Keys
from monitoring.backups.faults import RestoreRefused, Unreadable
from monitoring.backups.making import Say, quiet
from monitoring.backups.server import Connection

log = logging.getLogger(__name__)

PATIENCE = "10s"  # for the table and for users, while others wait behind us


def find(home: Path, given: str) -> Path:
    """Return the file that is meant: by its path, its JSON file's, or its name in the archive. Raises Unreadable."""
    for path in (Path(given), home / files.DIRECTORY / given):
        plain = path.with_suffix("") if path.suffix == ".json" else path
        if plain.is_file():
            return plain
    raise Unreadable(f"There is no archive {given}.")


def restore(home: Path, given: str, keys: Keys, *, say: Say = quiet) -> Archive:
    """Put a month back; it stays for 30 days. Raises Unreadable, RestoreRefused, BackupFailed, Busy: nothing
    was changed then. Writes to users wait while it is attached, about a second for a million rows."""
    path = find(home, given)
    archived = files.read(path)
    files.check(path, archived, keys)
    say(f"{path.name} is whole: {archived.rows:,} rows")
    with leaving.alone(home) as session:
        try:
            with session.transaction():
                _load(session, path, archived, keys)
                say(f"{archived.part} is loaded")
                session.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
                # in the order in which everybody takes them
                session.execute("LOCK TABLE public.users IN SHARE ROW EXCLUSIVE MODE")
                part = Part(archived.part, archived.since, archived.until)
                session.execute(months.attaching(archived.table, part))
        except psycopg.errors.DuplicateTable as error:
            raise RestoreRefused(
                f"{months.SCHEMA}.{archived.part} is there already; manage.py archive_audit ends what was begun."
            ) from error
        except psycopg.errors.InvalidObjectDefinition as error:
            raise RestoreRefused(
                f"{archived.part} overlaps what is there: {_said(error)}."
            ) from error
        except psycopg.errors.ForeignKeyViolation as error:
            raise RestoreRefused(f"Users of {archived.part} are gone: {_said(error)}.") from error
        except psycopg.errors.LockNotAvailable as error:
            raise RestoreRefused(
                f"Somebody has used the tables for longer than {PATIENCE}: try again at a quieter moment."
            ) from error
        session.execute(compose.SQL("ANALYZE {}").format(_name(archived)))
    log.warning("audit.restored", extra={"part": archived.part, "rows": archived.rows})
    say(f"{archived.part} is attached")
    return archived


def _load(session: Connection, path: Path, archived: Archive, keys: Keys) -> None:
    for statement in months.creating(archived.table, archived.part):
        session.execute(statement)
    columns = compose.SQL(", ").join(map(compose.Identifier, archived.columns))
    copy = compose.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, HEADER)").format(
        _name(archived), columns
    )
    with closing(session.cursor()) as cursor, cursor.copy(copy) as rows:
        files.unpack(path, archived, keys, streams.Sink(_Rows(rows)))
    found = files.content(session, archived.part, archived.columns)
    if (found.rows, found.sha256) != (archived.rows, archived.plain_sha256):
        raise RestoreRefused(f"What was loaded is not what {path.name} holds. Nothing was changed.")
    session.execute(leaving.note(archived.part, {"restored_at": datetime.now(UTC).isoformat()}))


def _name(archived: Archive) -> compose.Identifier:
    return compose.Identifier(months.SCHEMA, archived.part)


def _said(error: psycopg.Error) -> str:
    return (error.diag.message_detail or error.diag.message_primary or str(error)).rstrip(".")


class _Rows:
    """A COPY that takes whatever is a buffer."""

    def __init__(self, rows: psycopg.Copy) -> None:
        self.rows = rows

    def write(self, chunk: Any) -> int:
        self.rows.write(bytes(chunk))
        return len(chunk)
