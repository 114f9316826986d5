"""Archives months of the audit log, or puts one back."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from khaacho.exceptions import KhaachoError
from monitoring.archiving import files, leaving, returning
from monitoring.backups import encryption, shelf, terminal


class Command(BaseCommand):
    help = (
        "Move months of the audit log that ended more than AUDIT_KEPT_MONTHS ago into files in BACKUP_DIR/archive:"
        " each is detached, written, read back, compared, and only then dropped. A run that was killed is"
        " gone on with. With --restore put one back, for 30 days. Exit code 0: done, or nothing to do; 1: not"
        " done, and nothing lost. docs/partitions.md"
    )
    requires_system_checks = []  # as a backup's

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dir", default="", metavar="DIRECTORY", help="instead of BACKUP_DIR")
        parser.add_argument(
            "--kept-months",
            type=int,
            default=settings.AUDIT_KEPT_MONTHS,
            metavar="MONTHS",
            help="instead of AUDIT_KEPT_MONTHS; 0: all stay, only what was begun is ended (%(default)s)",
        )
        parser.add_argument("--restore", default="", metavar="FILE", help="put a month back")
        parser.add_argument(
            "--key-file", default="", metavar="FILE", help="instead of BACKUP_ENCRYPTION_KEY_FILE"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")

    def handle(self, *args: Any, **options: Any) -> None:
        terminal.end_cleanly_on_sigterm()
        if options["kept_months"] < 0:
            raise CommandError("--kept-months: use 0 or more.")
        try:
            home, keys = shelf.directory(options["dir"]), encryption.keys(options["key_file"])
            if options["restore"] and options["dry_run"]:
                path = returning.find(home, options["restore"])
                archived = files.read(path)
                files.check(path, archived, keys)
                self.stdout.write(f"would put back {archived.part}: {archived.rows:,} rows")
            elif options["restore"]:
                returning.restore(home, options["restore"], keys, say=self.stdout.write)
            elif options["dry_run"]:
                with leaving.alone(home) as session:
                    for each in leaving.leavers(session, options["kept_months"]):
                        begun = "" if each.is_attached else ", which was begun"
                        self.stdout.write(f"would archive {each.part.name}{begun}")
            else:
                made = leaving.archive(
                    home,
                    keys,
                    kept_months=options["kept_months"],
                    say=self.stdout.write,
                    progress=terminal.progress(self.stdout, "written"),
                )
                rows = sum(each.rows for each in made)
                self.stdout.write(f"{len(made)} months archived, {rows:,} rows")
        except KhaachoError as error:
            raise CommandError(error.message) from error
