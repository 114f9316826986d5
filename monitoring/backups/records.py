"""The rows of backups, brought to what the directory says: also after a restore, whose rows are older."""

import logging
import socket
from pathlib import Path
from typing import Any

from django.db import Error, connection
from django.db.models.functions import Now

from khaacho import logs, sql
from monitoring.backups import contents
from monitoring.backups.kinds import BackupState, DrillResult
from monitoring.backups.manifest import Manifest
from monitoring.backups.models import ERROR_MAX, Backup
from monitoring.backups.shelf import Kept

log = logging.getLogger(__name__)

AGES = """
SELECT extract(epoch FROM now() - max(snapshot_at) FILTER (WHERE state = 'done'))::float8,
    extract(epoch FROM now() - max(verified_at))::float8,
    (SELECT extract(epoch FROM now() - min(applied))::float8 FROM django_migrations
     WHERE app = 'monitoring' AND name LIKE '0017%%')
FROM backups
"""


def knows(name: str) -> bool:
    _mend_connection()
    return Backup.objects.filter(name=name).exists()


def begin(name: str, directory: Path) -> None:
    _mend_connection()
    Backup.objects.create(
        name=name, directory=str(directory)[:500], host=socket.gethostname()[:255]
    )


def finish(manifest: Manifest, directory: Path) -> None:
    """Say that a backup is done, or that one is there which the rows did not know."""
    _mend_connection()
    fields: dict[str, Any] = {
        "state": BackupState.DONE,
        "finished_at": manifest.finished_at,
        "snapshot_at": manifest.snapshot_at,
        "size": manifest.size,
        "sha256": manifest.sha256,
        "database_size": manifest.database_size,
        "is_encrypted": manifest.encrypted,
        "host": manifest.host[:255],
        "directory": str(directory)[:500],
        "error": "",
        "removed_at": None,
    }
    if manifest.tables is not None:
        fields["row_count"] = contents.rows(manifest.tables)
    if manifest.verified_at is not None:
        fields |= {
            "drill_result": DrillResult.PASSED,
            "drilled_at": manifest.verified_at,
            "verified_at": manifest.verified_at,
            "drill_seconds": manifest.verify_seconds,
        }
    began = {"started_at": manifest.snapshot_at}
    Backup.objects.update_or_create(
        name=manifest.name, defaults=fields, create_defaults={**fields, **began}
    )


def fail(name: str, error: str) -> None:
    """Keep why a backup failed; where the database is what failed, only the log does."""
    log.error("backup.failed", extra={"backup": name, "reason": error})
    try:
        _mend_connection()
        Backup.objects.filter(name=name, state=BackupState.RUNNING).update(
            state=BackupState.FAILED, finished_at=Now(), error=logs.scrub(error)[:ERROR_MAX]
        )
    except Error:
        log.warning("backup.failure_not_kept", exc_info=True)


def uploaded(name: str, error: str = "") -> None:
    _mend_connection()
    found = Backup.objects.filter(name=name)
    if error:
        found.update(upload_error=logs.scrub(error)[:ERROR_MAX])
    else:
        found.update(uploaded_at=Now(), upload_error="")


def drilled(name: str, *, seconds: float, error: str = "") -> None:
    """Keep how a drill ended; that a drill passed once is not forgotten when a later one fails."""
    _mend_connection()
    fields: dict[str, Any] = {
        "drill_result": DrillResult.FAILED if error else DrillResult.PASSED,
        "drilled_at": Now(),
        "drill_seconds": seconds,
        "drill_error": logs.scrub(error)[:ERROR_MAX],
    }
    if not error:
        fields["verified_at"] = Now()
    Backup.objects.filter(name=name).update(**fields)


def sync(kept: list[Kept], directory: Path) -> None:
    """Bring the rows of this directory to what lies in it; only for who has the lock: nothing runs then."""
    _mend_connection()
    if sql.fetch_one("SELECT to_regclass('backups')") == (None,):
        return  # an older database was restored; `migrate` makes the table
    names = {each.name for each in kept}
    mine = Backup.objects.filter(directory=str(directory)[:500])
    known = set(mine.filter(state=BackupState.DONE, removed_at=None).values_list("name", flat=True))
    for each in kept:
        if each.name not in known:
            finish(each.manifest, directory)
    mine.filter(name__in=known - names).update(removed_at=Now())
    mine.filter(state=BackupState.RUNNING).exclude(name__in=names).update(
        state=BackupState.FAILED,
        finished_at=Now(),
        error="It ended without a word: its process was killed, or the machine went down.",
    )


def ages() -> tuple[float | None, float | None, float | None]:
    """Return the seconds since the newest backup's snapshot, since the last passed drill, and since when there could be any."""
    row = sql.fetch_one(AGES)
    assert row is not None
    return row[0], row[1], row[2]


def _mend_connection() -> None:
    """Drop a connection that broke in the hours since it was used; a test's transaction keeps its own."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
