"""Makes a backup now, as the nightly job does."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from monitoring.backups import dumping, encryption, nightly, retention, s3, server, shelf, terminal
from monitoring.backups.faults import BackupFailed


class Command(BaseCommand):
    help = (
        "Back the database up into BACKUP_DIR: a dump with a manifest, checked for room, sent to the bucket"
        " when there is one; then forget what is older than the retention. Exit code 0: made and sent;"
        " 1: not made, or not sent. docs/backups.md"
    )
    requires_system_checks = []  # a backup must be possible when other things are not

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dir", default="", metavar="DIRECTORY", help="instead of BACKUP_DIR")
        parser.add_argument(
            "--retention-days",
            type=int,
            default=settings.BACKUP_RETENTION_DAYS,
            metavar="DAYS",
            help="forget older ones, but never the newest nor the last verified (%(default)s)",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only say where, how much room, and what would go",
        )
        parser.add_argument("--list", action="store_true", help="list what there is, and end")

    def handle(self, *args: Any, **options: Any) -> None:
        terminal.end_cleanly_on_sigterm()
        if options["retention_days"] < 1:
            raise CommandError("--retention-days: use 1 or more.")
        try:
            if options["list"]:
                self._list(options["dir"])
            elif options["dry_run"]:
                self._say_only(options["dir"], options["retention_days"])
            else:
                self._make(options["dir"], options["retention_days"])
        except BackupFailed as error:
            raise CommandError(error.message) from error

    def _make(self, given: str, days: int) -> None:
        night = nightly.backup(
            shelf.directory(given),
            encryption.keys(),
            days=days,
            say=self.stdout.write,
            progress=terminal.progress(self.stdout, "dumped"),
        )
        made = night.manifest
        seconds = (made.finished_at - made.snapshot_at).total_seconds()
        self.stdout.write(
            f"{made.file}: {terminal.size(made.size)} of {terminal.size(made.database_size)}"
            f" in {seconds:.1f} s ({seconds / (made.database_size / 1e9):.0f} s per GB)"
        )
        for name in night.forgotten:
            self.stdout.write(f"forgot {name}")
        for name in night.forgotten_there:
            self.stdout.write(f"forgot {name} in the bucket")
        if night.upload_error:
            raise CommandError(f"The backup stands here, but was not sent. {night.upload_error}")

    def _say_only(self, given: str, days: int) -> None:
        directory, place = shelf.directory(given), server.place()
        kept = shelf.listing(directory)
        with place.connect() as session:
            row = session.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        needed = dumping.room_needed(row[0], kept[0] if kept else None)
        dumping.check_room(directory, needed)
        self.stdout.write(
            f"{place.database} ({terminal.size(row[0])}) would go to {directory}, up to {terminal.size(needed)},"
            f" {'encrypted' if encryption.keys().encrypts else 'not encrypted'}"
            f"{f', then to {settings.BACKUP_S3_BUCKET}' if s3.configured() else ''}"
        )
        for name in retention.apply(directory, days=days, now=timezone.now(), dry_run=True):
            self.stdout.write(f"would forget {name}")

    def _list(self, given: str) -> None:
        for each in shelf.listing(shelf.directory(given)):
            proven = each.manifest.verified_at
            said = (
                f"verified {timezone.localtime(proven):%Y-%m-%d %H:%M}"
                if proven
                else "not verified"
            )
            self.stdout.write(
                f"{each.name}  {terminal.size(each.manifest.size):>10}"
                f"  {'encrypted' if each.manifest.encrypted else 'plain':9}  {said}"
            )
