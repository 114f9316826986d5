"""What becomes of a log file that was rotated: it is compressed once nobody can write to it, and deleted.

    combined.log -> combined-2026-11-27.001.log -> combined-2026-11-27.001.log.gz

A crash leaves a half file (`.part`), which the next attempt writes anew, or the file beside its compressed
copy, which is then made again. The day is Kathmandu's, of the last line.
"""

import fcntl
import gzip
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

DAY = 86_400
KATHMANDU = 20_700  # seconds east of Greenwich; no summer time
CHUNK = 2**20
HALF = ".part"


def day(moment: float) -> int:
    """Return the number of the day in Kathmandu of a Unix time."""
    return int(moment + KATHMANDU) // DAY


def next_name(path: Path, written_at: float) -> Path:
    """Return a name for the file's past that none has; the caller lets nobody else choose meanwhile."""
    date = datetime.fromtimestamp(written_at + KATHMANDU, UTC).date().isoformat()
    taken = [number for _, on, number in _of(path) if on == date]
    return path.with_name(f"{path.stem}-{date}.{max(taken, default=0) + 1:03d}{path.suffix}")


def rotated(path: Path) -> list[Path]:
    """Return the past of a log file, compressed or not, oldest first."""
    return [file for file, *_ in sorted(_of(path), key=lambda each: each[1:])]


def _of(path: Path) -> Iterator[tuple[Path, str, int]]:
    form = re.compile(
        rf"{re.escape(path.stem)}-(\d{{4}}-\d\d-\d\d)\.(\d+){re.escape(path.suffix)}(?:\.gz)?"
    )
    for file in path.parent.iterdir():
        if found := form.fullmatch(file.name):
            yield file, found[1], int(found[2])


def tidy(path: Path, kept_days: int) -> None:
    """Compress and delete what is due; the caller is alone with it. Raises OSError."""
    oldest = time.time() - kept_days * DAY
    for file in rotated(path):
        with suppress(FileNotFoundError):
            if file.stat().st_mtime < oldest:
                file.unlink()
            elif file.suffix != ".gz":
                compress(file)


def compress(file: Path) -> bool:
    """Replace a renamed file by its compressed copy; False while somebody may still write to it."""
    with file.open("rb") as source:
        try:
            # Who comes for the lock after this finds that the name is another file's.
            fcntl.flock(source, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(source, fcntl.LOCK_UN)
        whole = file.with_name(f"{file.name}.gz")
        half = file.with_name(f"{file.name}{HALF}")
        with half.open("wb") as plain:
            with gzip.open(plain, "wb", compresslevel=6) as target:
                shutil.copyfileobj(source, target, CHUNK)
            plain.flush()
            os.fsync(plain.fileno())
        facts = os.fstat(source.fileno())
    os.chmod(half, facts.st_mode & 0o777)
    os.utime(half, (facts.st_atime, facts.st_mtime))
    os.rename(half, whole)
    file.unlink()
    return True
