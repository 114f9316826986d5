"""What is done by the clock and by `manage.py backup` alike: make, send, forget."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.utils import timezone

from monitoring.backups import drill, making, records, retention, s3, shelf
from monitoring.backups.encryption import Keys
from monitoring.backups.faults import BackupFailed
from monitoring.backups.making import Progress, Say, quiet
from monitoring.backups.manifest import Manifest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Night:
    """A backup, what was forgotten here and in the bucket, and why it could not be sent, "" when it was."""

    manifest: Manifest
    forgotten: Sequence[str]
    forgotten_there: Sequence[str]
    upload_error: str


def backup(
    directory: Path,
    keys: Keys,
    *,
    days: int,
    say: Say = quiet,
    progress: Progress = quiet,
) -> Night:
    """Make a backup; then send it, then forget what is outdated. Raises BackupFailed when none was made.

    Nothing is forgotten before the new one stands.
    """
    manifest = making.make(directory, keys, say=say, progress=progress)
    upload_error, forgotten_there = "", []
    if s3.configured():
        try:
            forgotten_there = _send(directory, manifest, days, say)
        except BackupFailed as error:
            upload_error = error.message
            records.uploaded(manifest.name, error.message)
            log.warning("backup.not_uploaded", extra={"reason": error.message})
    forgotten = forget(directory, days=days)
    return Night(manifest, forgotten, forgotten_there, upload_error)


def _send(directory: Path, manifest: Manifest, days: int, say: Say) -> list[str]:
    bucket = s3.Bucket()
    say(f"sending {manifest.file} to {bucket.name}")
    bucket.upload(directory / manifest.file, manifest)
    records.uploaded(manifest.name)
    return bucket.forget(days=days, now=timezone.now())


def forget(directory: Path, *, days: int) -> list[str]:
    """Remove what is outdated from the directory, and say so in the rows. Raises Busy."""
    with shelf.alone(directory):
        names = retention.apply(directory, days=days, now=timezone.now())
        records.sync(shelf.listing(directory), directory)
    return names


def prove(
    directory: Path, keys: Keys, *, given: str = "", say: Say = quiet, progress: Progress = quiet
) -> drill.Proof:
    """Run the drill, and let the bucket's manifest know that it passed. Raises DrillFailed, Busy."""
    proof = drill.run(directory, keys, given=given, say=say, progress=progress)
    if s3.configured():
        kept = next(each for each in shelf.listing(directory) if each.name == proof.name)
        try:
            s3.Bucket().send_manifest(kept.path)
        except BackupFailed as error:
            say(error.message)
            log.warning("backup.manifest_not_sent", extra={"reason": error.message})
    return proof
