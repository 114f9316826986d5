"""The drill: the newest backup is read back into a database of its own, compared, and dropped again."""

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from django.conf import settings
from django.utils import timezone
from psycopg import sql as compose
from psycopg.conninfo import make_conninfo

from monitoring.backups import contents, dumping, records, recovery, restoring, server, shelf
from monitoring.backups import manifest as manifests
from monitoring.backups.encryption import Keys
from monitoring.backups.faults import DrillFailed, RestoreRefused, Unreadable
from monitoring.backups.making import Progress, Say, quiet
from monitoring.backups.recovery import Chosen
from monitoring.backups.server import Place
from monitoring.backups.shelf import Kept

GIGABYTE = 10**9
VERIFY_SECONDS = 3600


@dataclass(frozen=True)
class Proof:
    """A backup that was read back: in how many seconds, what was counted, and what the rules of the trade say.

    `violations` is None where they could not be asked: the backup is of an older release.
    """

    name: str
    seconds: float
    database_size: int
    rows: int
    ledger_sum: str
    violations: int | None

    @property
    def seconds_per_gigabyte(self) -> float:
        return self.seconds / (self.database_size / GIGABYTE)


def run(
    directory: Path,
    keys: Keys,
    *,
    given: str = "",
    say: Say = quiet,
    progress: Progress = quiet,
) -> Proof:
    """Prove the newest backup of the directory, or the one that is given. Raises DrillFailed, Busy.

    The site's database is only asked for room: the work is done in a database beside it, which is dropped
    whatever happens; what a drill that was killed left is dropped first.
    """
    place = server.place()
    with shelf.alone(directory):
        kept = shelf.listing(directory)
        records.sync(kept, directory)
        chosen = _of(kept, given)
        begun = time.monotonic()
        try:
            proof = _prove(place, chosen.path, keys, say, progress)
        except (Unreadable, RestoreRefused, psycopg.Error) as error:
            said = getattr(error, "message", "") or dumping.words(str(error).encode())
            records.drilled(chosen.name, seconds=time.monotonic() - begun, error=said)
            raise DrillFailed(f"{chosen.name}: {said}") from error
        manifests.write(
            replace(
                chosen.manifest, verified_at=timezone.now(), verify_seconds=round(proof.seconds, 2)
            ),
            shelf.manifest_path(chosen.path),
        )
        records.drilled(chosen.name, seconds=proof.seconds)
    return proof


def _of(kept: list[Kept], given: str) -> Kept:
    found = [each for each in kept if not given or given in (each.name, each.path.name)]
    if not found:
        raise DrillFailed(f"There is no backup {given}." if given else "There is no backup yet.")
    return found[0]


def _prove(place: Place, path: Path, keys: Keys, say: Say, progress: Progress) -> Proof:
    admin_place = place.of(server.MAINTENANCE_DATABASE)
    with closing(admin_place.connect()) as admin, server.locked(admin, place.database):
        for left in server.left_over(admin, place.database, "drill"):
            say(f"dropping {left}, which a drill that was killed had left")
            restoring.drop_database(admin, left)
        begun = time.monotonic()
        chosen = recovery.choose(str(path), keys)
        scratch = server.dated(place.database, "drill", timezone.localtime().strftime(shelf.STAMP))
        restoring.create_database(admin, scratch, place.database, chosen.manifest)
        try:
            say(f"restoring {path.name} into {scratch}")
            restored = recovery.fill(place.of(scratch), chosen, progress)
            seconds = time.monotonic() - begun
            size = admin.execute(
                compose.SQL("SELECT pg_database_size({})").format(compose.Literal(scratch))
            ).fetchone()
            assert size is not None
            violations = _violations(place.of(scratch), chosen)
        finally:
            restoring.drop_database(admin, scratch)
    return Proof(
        name=chosen.manifest.name,
        seconds=seconds,
        database_size=size[0],
        rows=contents.rows(restored.tables),
        ledger_sum=contents.ledger_sum(restored.tables),
        violations=violations,
    )


def _violations(place: Place, chosen: Chosen) -> int | None:
    """Ask `manage.py verify` about the copy; None where its tables are another release's."""
    with closing(place.connect()) as session:
        if recovery.missing_migrations(session):
            return None
    done = subprocess.run(
        [sys.executable, "manage.py", "verify", "--json"],
        cwd=settings.BASE_DIR,
        env={
            **os.environ,
            "DATABASE_URL": make_conninfo("", **place.info),
            "SECRET_KEY": settings.SECRET_KEY,
            "DB_POOL_MAX": "0",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=VERIFY_SECONDS,
    )
    try:
        return int(sum(rule["violations"] for rule in json.loads(done.stdout)))
    except ValueError:
        raise RestoreRefused(
            f"manage.py verify could not read the copy: {dumping.words(done.stderr.encode())}"
        ) from None
