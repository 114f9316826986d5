"""A backup from its first look at the disk to its place on the shelf."""

import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from django.utils import timezone

from monitoring import health
from monitoring.backups import contents, dumping, records, server, shelf
from monitoring.backups import manifest as manifests
from monitoring.backups.encryption import Keys
from monitoring.backups.faults import BackupFailed
from monitoring.backups.manifest import Manifest
from monitoring.backups.server import Connection, Place
from monitoring.backups.shelf import Kept

log = logging.getLogger(__name__)

FACTS = """
SELECT statement_timestamp(), pg_database_size(oid), pg_encoding_to_char(encoding), datcollate, datctype,
    current_setting('server_version_num')::int
FROM pg_database WHERE datname = current_database()
"""
UNKNOWN_SHARE = 0.6  # of a database's bytes that pg_dump writes, until a backup says better

Say = Callable[[str], None]
Progress = Callable[[int], None]  # per cent


def quiet(_: Any) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class _Plan:
    """Of what a backup is made and where it goes."""

    place: Place
    directory: Path
    keys: Keys
    say: Say
    progress: Progress


def make(directory: Path, keys: Keys, *, say: Say = quiet, progress: Progress = quiet) -> Manifest:
    """Make one backup. Raises BackupFailed in a sentence, with nothing half left behind, and Busy.

    Holds the directory's and the database's lock, and one snapshot for as long as it takes: rows that die
    meanwhile are not vacuumed away.
    """
    plan = _Plan(server.place(), directory, keys, say, progress)
    try:
        with (
            shelf.alone(directory),
            closing(plan.place.connect()) as session,
            server.locked(session, plan.place.database),
        ):
            return _alone(session, plan)
    except psycopg.Error as error:
        raise BackupFailed(f"The database failed: {dumping.words(str(error).encode())}") from error


def _alone(session: Connection, plan: _Plan) -> Manifest:
    for left in shelf.sweep(plan.directory):
        plan.say(f"removed {left}, which a backup that was killed had left")
    kept = shelf.listing(plan.directory)
    records.sync(kept, plan.directory)
    name = _free_name(plan.directory)
    records.begin(name, plan.directory)
    try:
        manifest = _make(session, plan, name, kept[0] if kept else None)
    except BaseException as error:
        records.fail(name, _reason(error))
        raise
    records.finish(manifest, plan.directory)
    log.info("backup.done", extra={"backup": name, "size": manifest.size})
    return manifest


def _reason(error: BaseException) -> str:
    message = getattr(error, "message", "") or str(error)
    return str(message) or f"It was interrupted ({type(error).__name__})."


def _free_name(directory: Path) -> str:
    """Return the name of this second; of the next one when it is taken, be it by one that failed."""
    while True:
        name = shelf.name_of(timezone.now())
        if not any(directory.glob(f"{name}*")) and not records.knows(name):
            return name
        time.sleep(0.1)


def _make(session: Connection, plan: _Plan, name: str, last: Kept | None) -> Manifest:
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    row = session.execute("SELECT pg_export_snapshot()").fetchone()
    facts = session.execute(FACTS).fetchone()
    assert row is not None
    assert facts is not None
    snapshot_at, database_size, encoding, collate, ctype, version = facts
    dumping.check_room(plan.directory, dumping.room_needed(database_size, last))
    plan.say(f"counting {plan.place.database} ({database_size / 2**20:,.1f} MB)")
    tables = contents.count(session)  # its locks keep what is counted until it is dumped
    migrations = contents.migration_heads(session)
    target = plan.directory / f"{name}.dump.zst{'.age' if plan.keys.encrypts else ''}"
    plan.say(f"dumping {contents.rows(tables):,} rows of {len(tables)} tables")
    expected = _expected(database_size, last)
    dumped = dumping.dump(
        plan.place,
        row[0],
        target,
        plan.keys,
        lambda count: plan.progress(min(99, 100 * count // expected)),
    )
    if not server.still_locked(session):
        dumping.discard(target)
        raise BackupFailed("The session that held the lock was ended meanwhile: nothing was kept.")
    session.execute("ROLLBACK")
    manifest = Manifest(
        name=name,
        file=target.name,
        size=dumped.size,
        sha256=dumped.sha256,
        dumped=dumped.dumped,
        database=plan.place.database,
        database_size=database_size,
        encoding=encoding,
        collate=collate,
        ctype=ctype,
        server_version=version,
        dump_version=dumped.version,
        migrations=migrations,
        encrypted=plan.keys.encrypts,
        snapshot_at=snapshot_at,
        finished_at=_now(),
        host=socket.gethostname(),
        release=health.version(),
        tables=tables,
    )
    _publish(manifest.sealed_for(plan.keys), target)
    plan.progress(100)
    return manifest


def _expected(database_size: int, last: Kept | None) -> int:
    """Return how many bytes pg_dump may write, for the progress alone."""
    if last is not None and last.manifest.database_size:
        share = last.manifest.dumped / last.manifest.database_size
    else:
        share = UNKNOWN_SHARE
    return max(1, int(share * database_size))


def _publish(manifest: Manifest, target: Path) -> None:
    """Give file and manifest their names, the manifest last; a full disk leaves neither."""
    try:
        dumping.publish(target)
        manifests.write(manifest, shelf.manifest_path(target))
    except OSError as error:
        dumping.discard(target)
        target.unlink(missing_ok=True)
        raise BackupFailed(
            f"{target.parent} cannot be written: {os.strerror(error.errno or 0)}. Nothing is left of it."
        ) from error


def _now() -> datetime:
    return timezone.now()
