"""The directory of the backups: names by date, what is whole, what a dead run left.

`khaacho_backup_2026-11-27_02-00-00.dump.zst` (`.age` when it is encrypted) and `….json` beside it. Dates are
Kathmandu's. A name that begins with a dot is not finished.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from monitoring.backups import manifest
from monitoring.backups.faults import BackupFailed, Busy, NotConfigured, Unreadable
from monitoring.backups.manifest import Manifest

STAMP = "%Y-%m-%d_%H-%M-%S"
NAME = re.compile(r"khaacho_backup_(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)")
FILE = re.compile(rf"({NAME.pattern})(\.dump\.zst(?:\.age)?|\.json)")
PARTIAL = re.compile(rf"\.{NAME.pattern}.*\.partial")
LOCK_FILE = ".khaacho_backup.lock"


@dataclass(frozen=True)
class Kept:
    """A backup that is there: its manifest can be read and its file has the size that it says."""

    manifest: Manifest
    path: Path

    @property
    def name(self) -> str:
        return self.manifest.name


def directory(given: str = "") -> Path:
    """Return where backups lie. Raises NotConfigured, BackupFailed when it cannot be used."""
    chosen = given or settings.BACKUP_DIR
    if not chosen:
        raise NotConfigured
    found = Path(chosen)
    try:
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BackupFailed(f"{found} cannot be made: {error.strerror}.") from error
    if not os.access(found, os.W_OK | os.X_OK):
        raise BackupFailed(
            f"{found} cannot be written by this user: chown it to whom the workers run as."
        )
    return found


@contextmanager
def alone(found: Path) -> Iterator[None]:
    """Be the only one who writes into the directory, of whatever site. Raises Busy."""
    with (found / LOCK_FILE).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                f"Another backup or drill is under way in {found}: wait until it has ended."
            ) from None
        yield


def name_of(moment: datetime) -> str:
    return f"khaacho_backup_{timezone.localtime(moment).strftime(STAMP)}"


def date_of(name: str) -> datetime | None:
    """Return the moment that a name says; None for a name that is not one of ours."""
    found = NAME.fullmatch(name)
    if not found:
        return None
    try:
        return timezone.make_aware(datetime.strptime(found[1], STAMP))  # noqa: DTZ007
    except ValueError:
        return None


def manifest_path(path: Path) -> Path:
    """Return where the manifest of a backup's file lies."""
    found = FILE.fullmatch(path.name)
    return path.with_name(f"{found[1]}.json") if found else path.with_name(f"{path.name}.json")


def listing(found: Path) -> list[Kept]:
    """Return the backups of a directory, the newest first; what is damaged is not among them."""
    kept = []
    for path in found.glob("khaacho_backup_*.json"):
        try:
            each = manifest.read(path)
            data = found / each.file
            if date_of(each.name) and path.stem == each.name and data.stat().st_size == each.size:
                kept.append(Kept(each, data))
        except (Unreadable, OSError):
            continue
    return sorted(kept, key=lambda each: each.name, reverse=True)


def find(given: str) -> Path:
    """Return the file that is meant: by its path, its manifest's, or its name in BACKUP_DIR. Raises Unreadable."""
    path = Path(given)
    if not path.exists() and path.name == given and settings.BACKUP_DIR:
        path = Path(settings.BACKUP_DIR) / given
    if NAME.fullmatch(path.name) and not path.exists():
        path = path.with_name(f"{path.name}.json")
    if path.suffix == ".json" and path.exists():
        path = path.with_name(manifest.read(path).file)
    if not path.is_file():
        raise Unreadable(f"There is no backup {given}.")
    return path


def sweep(found: Path) -> list[str]:
    """Remove what dead runs left; only for who is alone. Returns their names."""
    left = [path for path in found.iterdir() if PARTIAL.fullmatch(path.name)]
    for path in left:
        path.unlink(missing_ok=True)
    return [path.name for path in left]
