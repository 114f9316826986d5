"""Putting a backup in the place of the site's database.

Nothing is touched before the file is known to be whole and readable. It is restored into a database of its
own beside the old one and compared there with the manifest; only then do both change names, in one
transaction: whatever fails or is killed before its commit leaves the old database as it was.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from psycopg import sql as compose

from monitoring.backups import contents, dumping, restoring, server, shelf
from monitoring.backups import manifest as manifests
from monitoring.backups.contents import Tables
from monitoring.backups.encryption import Keys
from monitoring.backups.faults import RestoreRefused, Unreadable
from monitoring.backups.making import Progress, Say, quiet
from monitoring.backups.manifest import Manifest
from monitoring.backups.server import Connection, Place

log = logging.getLogger(__name__)

SWAP_ATTEMPTS = 6  # each of which PostgreSQL gives up after 5 s
END_EVERY = 0.2  # seconds between looks at sessions that are to end
# Those that this role may end: one that it may not would fail the statement for all. RENAME itself sends
# autovacuum away.
END = """
SELECT count(pg_terminate_backend(a.pid)) FROM pg_stat_activity a
JOIN pg_roles whose ON whose.oid = a.usesysid JOIN pg_roles me ON me.rolname = current_user
WHERE a.datname = %s AND a.backend_type = 'client backend' AND (me.rolsuper OR NOT whose.rolsuper AND (
    pg_has_role(a.usesysid, 'MEMBER') OR pg_has_role('pg_signal_backend', 'MEMBER')))
"""
SETTINGS = """
SELECT r.rolname, s.setconfig FROM pg_db_role_setting s
JOIN pg_database d ON d.oid = s.setdatabase
LEFT JOIN pg_roles r ON r.oid = s.setrole
WHERE d.datname = %s
"""
# How long an index was not scanned is kept by its number, which another one has in the copy: nobody shall be
# told to drop that one.
FORGET_INDEXES = """
DO $$ BEGIN
    IF to_regclass('public.index_rests') IS NOT NULL THEN
        DELETE FROM public.index_rests;
    END IF;
END $$
"""


@dataclass(frozen=True)
class Chosen:
    """A backup that may be restored: whole, readable, and not of a newer Khaacho."""

    path: Path
    manifest: Manifest
    tables: Tables
    keys: Keys


@dataclass(frozen=True)
class Outcome:
    """What stands now, and what is left to do. `kept` is the old database's new name, "" where none was."""

    rows: int
    ledger_sum: str
    kept: str
    unapplied: Sequence[str]
    remarks: Sequence[str]


def choose(given: str, keys: Keys, *, progress: Progress = quiet) -> Chosen:
    """Check a backup's file from its first byte to its last. Raises Unreadable, RestoreRefused; touches nothing."""
    path = shelf.find(given)
    manifest = manifests.read(shelf.manifest_path(path))
    if path.name != manifest.file:
        raise Unreadable(f"The manifest beside {path.name} is of {manifest.file}.")
    restoring.check_file(path, manifest, lambda n: progress(100 * n // max(1, manifest.size)))
    tables = manifest.contents(keys)
    if newer := _newer(manifest.migrations):
        raise RestoreRefused(
            f"The backup is of a newer Khaacho ({manifest.release}) than this one: it knows"
            f" {', '.join(newer)}. Install that release, then restore."
        )
    return Chosen(path, manifest, tables, keys)


def _newer(heads: Mapping[str, str]) -> list[str]:
    known = set(MigrationLoader(None).disk_migrations)
    return [f"{app}.{name}" for app, name in heads.items() if (app, name) not in known]


def occupied(place: Place) -> list[str]:
    """Return the tables of the target that hold somebody's rows; none when it does not exist."""
    with closing(_admin(place)) as admin:
        if not server.exists(admin, place.database):
            return []
    with closing(place.connect()) as session:
        return contents.filled(session)


def restore(
    chosen: Chosen, *, drop_old: bool = False, say: Say = quiet, progress: Progress = quiet
) -> Outcome:
    """Restore beside, compare, and swap. Raises RestoreRefused, Unreadable, Busy: then the old database stands.

    Ends every session of the old database at the swap, this process's too.
    """
    place = server.place()
    try:
        with closing(_admin(place)) as admin, server.locked(admin, place.database):
            return _restore(admin, place, chosen, drop_old, say, progress)
    except psycopg.Error as error:
        raise RestoreRefused(
            f"The database server failed: {dumping.words(str(error).encode())} The old database stands."
        ) from error


def _admin(place: Place) -> Connection:
    return place.of(server.MAINTENANCE_DATABASE).connect()


def _restore(
    admin: Connection, place: Place, chosen: Chosen, drop_old: bool, say: Say, progress: Progress
) -> Outcome:
    for left in server.left_over(admin, place.database, "restore"):
        say(f"dropping {left}, which a restore that was killed had left")
        restoring.drop_database(admin, left)
    moment = timezone.localtime().strftime(shelf.STAMP)
    scratch = server.dated(place.database, "restore", moment)
    remarks = restoring.create_database(admin, scratch, place.database, chosen.manifest)
    try:
        say(f"restoring into {scratch}, beside {place.database}")
        restored = fill(place.of(scratch), chosen, progress)
        say(f"{contents.rows(restored.tables):,} rows and all sums are the manifest's")
        with closing(place.of(scratch).connect()) as session:
            unapplied = missing_migrations(session)
            session.execute(FORGET_INDEXES)
        kept = server.dated(place.database, "before", moment)
        kept = kept if server.exists(admin, place.database) else ""
        remarks += _carry_settings(admin, place.database, scratch)
        say(f"swapping: {place.database} becomes {kept}" if kept else f"naming it {place.database}")
        connections.close_all()
        _swap(admin, place.database, scratch, kept)
    except BaseException:
        restoring.drop_database(admin, scratch)
        raise
    log.warning("backup.restored", extra={"backup": chosen.manifest.name, "kept": kept})
    if kept and drop_old:
        restoring.drop_database(admin, kept)
        kept = ""
    return Outcome(
        rows=contents.rows(restored.tables),
        ledger_sum=contents.ledger_sum(restored.tables),
        kept=kept,
        unapplied=unapplied,
        remarks=[*remarks, *restored.remarks],
    )


def fill(place: Place, chosen: Chosen, progress: Progress) -> restoring.Restored:
    """Fill an empty database and compare it with the manifest. Raises RestoreRefused when it is not equal."""
    size = max(1, chosen.manifest.size)
    restored = restoring.restore_into(
        place, chosen.path, chosen.manifest, chosen.keys, lambda n: progress(100 * n // size)
    )
    if wrong := contents.differences(chosen.tables, restored.tables):
        more = f" (and {len(wrong) - 5} more)" if len(wrong) > 5 else ""
        raise RestoreRefused(
            f"What was restored is not what the manifest says: {'; '.join(wrong[:5])}{more}."
        )
    return restored


def missing_migrations(session: Connection) -> list[str]:
    """Return the migrations that this release has and the backup's database has not."""
    row = session.execute("SELECT to_regclass('public.django_migrations')").fetchone()
    applied: set[tuple[str, str]] = set()
    if row and row[0]:
        applied = set(session.execute("SELECT app, name FROM django_migrations").fetchall())
    missing = set(MigrationLoader(None).disk_migrations) - applied
    return sorted(f"{app}.{name}" for app, name in missing)


def _carry_settings(admin: Connection, old: str, new: str) -> list[str]:
    """Give the new database what `ALTER DATABASE … SET` said of the old one: no dump holds it."""
    remarks = []
    for role, pairs in admin.execute(SETTINGS, [old]).fetchall():
        for pair in pairs:
            name, _, value = pair.partition("=")
            whose = compose.SQL("ALTER DATABASE {}").format(server.quoted(new))
            if role is not None:
                whose = compose.SQL("ALTER ROLE {} IN DATABASE {}").format(
                    server.quoted(role), server.quoted(new)
                )
            try:
                admin.execute(
                    compose.SQL("{} SET {} = {}").format(
                        whose, server.quoted(name), compose.Literal(value)
                    )
                )
            except psycopg.Error:
                remarks.append(
                    f"The setting {name} of {old} could not be carried over: set it again."
                )
    return remarks


def _swap(admin: Connection, database: str, scratch: str, kept: str) -> None:
    """Give the scratch database the name, in one transaction; the old one keeps its own until the commit.

    RENAME first takes a lock that lets nobody else connect to the database, then waits up to 5 s for those
    who are in: a second session ends them meanwhile. So there is no moment at which the old database is
    closed and yet not renamed, not even for a process that is killed.
    """
    if not kept:
        admin.execute(_rename(scratch, database))
        return
    for attempt in range(SWAP_ATTEMPTS):
        try:
            with _ending_sessions_of(admin, database), admin.transaction():
                admin.execute(_rename(database, kept))
                admin.execute(_rename(scratch, database))
        except psycopg.errors.ObjectInUse as error:
            log.warning("backup.swap_waits", extra={"attempt": attempt, "reason": str(error)})
        else:
            return
    raise RestoreRefused(
        f"Sessions of {database} could not be ended: stop web, workers and beat, look for prepared"
        " transactions (SELECT * FROM pg_prepared_xacts), and restore again. The old database stands."
    )


def _rename(old: str, new: str) -> compose.Composed:
    return compose.SQL("ALTER DATABASE {} RENAME TO {}").format(
        server.quoted(old), server.quoted(new)
    )


class _ending_sessions_of:  # noqa: N801 - reads as a word
    """Ends the sessions of a database again and again, in a session of its own, until it is left."""

    def __init__(self, admin: Connection, database: str) -> None:
        self.database = database
        self.session = psycopg.connect(
            admin.info.dsn, password=admin.info.password, autocommit=True
        )
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, name="ending-sessions", daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        self.session.close()

    def _run(self) -> None:
        while not self.over.is_set():
            try:
                self.session.execute(END, [self.database])
            except psycopg.Error:  # RENAME says what came of it
                log.warning("backup.sessions_not_ended", exc_info=True)
            self.over.wait(END_EVERY)
