"""What is forgotten: by the date in the name, never by a file's time, which a copy changes.

The newest is never removed, nor the last one that a drill proved: better an old backup that is known to be
good than a new one that nobody has read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from monitoring.backups import shelf


@dataclass(frozen=True)
class Candidate:
    """A backup as retention sees it, wherever it lies."""

    name: str
    verified: bool


def outdated(found: Sequence[Candidate], *, days: int, now: datetime) -> list[str]:
    """Return the names to be removed, the oldest first."""
    dated = sorted(each.name for each in found if shelf.date_of(each.name))
    if not dated:
        return []
    verified = max(
        (each.name for each in found if each.verified and each.name in dated), default=""
    )
    edge = shelf.name_of(now - timedelta(days=days))
    return [name for name in dated if name < edge and name not in (dated[-1], verified)]


def apply(directory: Path, *, days: int, now: datetime, dry_run: bool = False) -> list[str]:
    """Remove what is outdated from the directory; return what was, or with `dry_run` would be.

    Only for who is alone there. A file without a manifest, which no restore would take, goes when its date is
    past; a manifest that is damaged is for a person to look at, and its file stays.
    """
    kept = shelf.listing(directory)
    found = [Candidate(each.name, each.manifest.verified_at is not None) for each in kept]
    names = outdated(found, days=days, now=now)
    edge = shelf.name_of(now - timedelta(days=days))
    files = {path.name: path for path in directory.glob("khaacho_backup_*")}
    for file_name in files:
        match = shelf.FILE.fullmatch(file_name)
        if match and match[1] < edge and f"{match[1]}.json" not in files and match[1] not in names:
            names.append(match[1])
    for name in [] if dry_run else names:
        # the manifest first: what has none is no backup any more, whatever happens next
        for path in sorted(directory.glob(f"{name}.*"), key=lambda each: each.suffix != ".json"):
            path.unlink(missing_ok=True)
    return names
