"""Months leave the database: detached, written, read back, compared, and only then dropped.

Each step stands by itself, and what it does is seen in the database or in the directory: whoever is killed
between two of them has lost nothing, and the next run goes on where it ended.
"""

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import sql as compose

from khaacho import months, sql
from khaacho.months import Part
from monitoring.archiving import files
from monitoring.archiving.files import Archive
from monitoring.backups import dumping, s3, server, shelf
from monitoring.backups.encryption import Keys
from monitoring.backups.faults import BackupFailed, Unreadable
from monitoring.backups.making import Progress, Say, quiet
from monitoring.backups.server import Connection

log = logging.getLogger(__name__)

TABLE = "audit_logs"
RESTORED_KEPT = timedelta(days=30)  # a month that was put back is looked at
# For transactions that use the table: nobody waits behind us meanwhile.
PATIENCE = "10min"

# Parts that were detached and are still there, with what was noted of them.
DETACHED = """
SELECT c.relname::text, obj_description(c.oid, 'pg_class') FROM pg_class c
WHERE c.relnamespace = to_regnamespace(%s) AND c.relkind = 'r' AND starts_with(c.relname, %s)
    AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
ORDER BY c.relname
"""
NOTE = "SELECT obj_description(%s::regclass, 'pg_class')"
GUARDED = "SELECT FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = 'append_only'"
GUARD = (
    "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {}"
    " FOR EACH ROW EXECUTE FUNCTION khaacho_append_only({})"
)


@dataclass(frozen=True)
class Leaver:
    """A part that is to leave, and how far it is: attached, or begun by a run that did not end."""

    part: Part
    is_attached: bool


@dataclass(frozen=True)
class _Plan:
    directory: Path
    keys: Keys
    say: Say
    progress: Progress


@contextmanager
def alone(home: Path) -> Iterator[Connection]:
    """Give a session of one's own, in which no backup, drill or other archiving is under way. Raises Busy."""
    place = server.place()
    try:
        with (
            shelf.alone(home),
            closing(place.connect()) as session,
            server.locked(session, place.database),
        ):
            session.execute(files.WORDS)
            yield session
    except psycopg.Error as error:
        raise BackupFailed(f"The database failed: {dumping.words(str(error).encode())}") from error


def unfinished() -> list[str]:
    """Return the parts that have left, or are leaving, and are not dropped yet. Two statements."""
    leaving = months.sorted_parts(sql.fetch(months.PARTS, [f"public.{TABLE}"]))
    begun = sql.fetch(DETACHED, [months.SCHEMA, f"{TABLE}_"])
    return [name for name, _ in begun] + [part.name for part in leaving if part.is_leaving]


def leavers(session: Connection, kept_months: int) -> list[Leaver]:
    """Return what is to leave, the oldest first: what is begun, and with `kept_months` above 0 what ended
    longer ago. What was put back stays for 30 days."""
    now = _now(session)
    found = [Leaver(part, is_attached=False) for part in _begun(session)]
    for part in _parts(session):
        if part.is_leaving:
            found.append(Leaver(part, is_attached=True))
        elif (
            kept_months and part.until is not None and months.after(part.until, kept_months) <= now
        ):
            noted = _noted(session, part.name).get("restored_at")
            if not noted or datetime.fromisoformat(noted) + RESTORED_KEPT <= now:
                found.append(Leaver(part, is_attached=True))
    return sorted(found, key=lambda each: each.part.until or now)


def archive(
    home: Path, keys: Keys, *, kept_months: int, say: Say = quiet, progress: Progress = quiet
) -> list[Archive]:
    """Archive all that is to leave. Raises BackupFailed, Unreadable in a sentence: nothing is lost; and Busy."""
    if keys.encrypts and not keys.identities:
        raise BackupFailed(
            "Archives are encrypted here and cannot be read back without a key: set BACKUP_ENCRYPTION_KEY_FILE."
        )
    with alone(home) as session:
        directory = home / files.DIRECTORY
        directory.mkdir(mode=0o700, exist_ok=True)
        plan = _Plan(directory, keys, say, progress)
        return [_leave(session, each, plan) for each in leavers(session, kept_months)]


def _leave(session: Connection, leaver: Leaver, plan: _Plan) -> Archive:
    part = leaver.part
    if leaver.is_attached:
        _check_room(session, part.name, plan.directory)
        _detach(session, part)
        plan.say(f"{part.name} is detached")
    _guard(session, part.name)
    plan.say(f"{part.name} is append-only")
    path = files.find(plan.directory, part.name)
    if path is None:
        files.write(session, part, TABLE, plan.directory, plan.keys, plan.progress)
        path = files.find(plan.directory, part.name)
        assert path is not None
        plan.say(f"{path.name} is written")
    elif not files.beside(path).exists():
        _adopt(session, part, path, plan)
        plan.say(f"{path.name}, which a run that was killed left, is whole")
    archived = files.read(path)
    files.check(path, archived, plan.keys)
    plan.say(f"{path.name} is read back: {archived.rows:,} rows")
    if s3.configured():
        s3.Bucket().upload(path, archived)
        plan.say(f"{path.name} is sent")
    _drop(session, archived, path)
    plan.say(f"{part.name} is dropped")
    log.warning(
        "audit.archived", extra={"part": part.name, "rows": archived.rows, "file": path.name}
    )
    return archived


def _check_room(session: Connection, name: str, directory: Path) -> None:
    """Raises BackupFailed when the disk may not hold the month: it would be in nobody's sight until then."""
    needed = files.bytes_of(session, name) // 2 + dumping.FREE_LEAST
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise BackupFailed(
            f"{directory} has {free // 2**20:,} MB free, and {name} may need {needed // 2**20:,} MB. Make room;"
            " it stays where it is."
        )


def _detach(session: Connection, part: Part) -> None:
    """Detach without locking anybody out; what is noted before tells the next run what it finds."""
    if not part.is_leaving:
        assert part.until is not None
        since = part.since.isoformat() if part.since else None
        _note(session, part.name, {"since": since, "until": part.until.isoformat()})
    session.execute(f"SET lock_timeout = '{PATIENCE}'")
    how = "FINALIZE" if part.is_leaving else "CONCURRENTLY"
    try:
        session.execute(
            _named(f"ALTER TABLE public.{TABLE} DETACH PARTITION {{}} {how}", part.name)
        )
    except psycopg.errors.LockNotAvailable as error:
        raise BackupFailed(
            f"Somebody has used {TABLE} for longer than {PATIENCE}: {part.name} leaves with the next run."
        ) from error
    finally:
        session.execute("RESET lock_timeout")


def _guard(session: Connection, name: str) -> None:
    """Keep a detached part append-only: its parent's trigger has gone from it."""
    if session.execute(GUARDED, [f"{months.SCHEMA}.{name}"]).fetchone() is None:
        statement = compose.SQL(GUARD).format(
            compose.Identifier(months.SCHEMA, name), compose.Literal(TABLE)
        )
        session.execute(statement)


def _adopt(session: Connection, part: Part, path: Path, plan: _Plan) -> None:
    """Give a file its JSON file when the rows in it are the part's. Raises Unreadable, with what to do."""
    columns = files.columns_of(session, part.name)
    plain = files.content(session, part.name, columns)
    described = files.describe(session, part, TABLE, path, columns, plain)
    try:
        files.check(path, described, plan.keys)
    except Unreadable as error:
        files.beside(path).unlink()
        raise Unreadable(f"{error.message} Move {path} away, and run it again.") from error


def _drop(session: Connection, archived: Archive, path: Path) -> None:
    """Drop the part when its rows are, to the last byte, those of the file. Raises Unreadable."""
    with session.transaction():
        session.execute(_named("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", archived.part))
        found = files.content(session, archived.part, archived.columns)
        if (found.rows, found.sha256) != (archived.rows, archived.plain_sha256):
            raise Unreadable(
                f"{months.SCHEMA}.{archived.part} has {found.rows} rows that are not the {archived.rows} of"
                f" {path.name}: it stays. Compare them, and move the file away to have it written anew."
            )
        session.execute(_named("DROP TABLE {}", archived.part))


def _parts(session: Connection) -> list[Part]:
    return months.sorted_parts(session.execute(months.PARTS, [f"public.{TABLE}"]).fetchall())


def _begun(session: Connection) -> Sequence[Part]:
    found = []
    for name, note in session.execute(DETACHED, [months.SCHEMA, f"{TABLE}_"]).fetchall():
        noted = _parsed(note)
        if "until" in noted:
            since = datetime.fromisoformat(noted["since"]) if noted["since"] else None
            found.append(Part(name, since, datetime.fromisoformat(noted["until"])))
        else:
            log.warning("audit.unknown_table", extra={"part": name})
    return found


def _noted(session: Connection, name: str) -> dict[str, str]:
    row = session.execute(NOTE, [f"{months.SCHEMA}.{name}"]).fetchone()
    return _parsed(row[0] if row else None)


def _parsed(note: str | None) -> dict[str, str]:
    try:
        found = json.loads(note or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _note(session: Connection, name: str, noted: dict[str, str | None]) -> None:
    session.execute(note(name, noted))


def note(name: str, noted: dict[str, str | None]) -> compose.Composed:
    """Return what writes down on a part what its next run must know."""
    return compose.SQL("COMMENT ON TABLE {} IS {}").format(
        compose.Identifier(months.SCHEMA, name), compose.Literal(json.dumps(noted))
    )


def _named(statement: str, name: str) -> compose.Composed:
    return compose.SQL(statement).format(compose.Identifier(months.SCHEMA, name))


def _now(session: Connection) -> datetime:
    row = session.execute("SELECT statement_timestamp()").fetchone()
    assert row is not None
    now: datetime = row[0]
    return now.astimezone(UTC)
