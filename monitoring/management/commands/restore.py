"""Puts a backup in the place of the site's database."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from khaacho.exceptions import KhaachoError
from monitoring.backups import contents, encryption, records, recovery, server, shelf, terminal
from monitoring.backups.recovery import Chosen


class Command(BaseCommand):
    help = (
        "Restore a backup: the file is checked whole first, restored into a database beside, compared with"
        " its manifest, and only then takes the name of the site's database; the old one is kept under a"
        " dated name. Exit code 0: restored; 1: refused or failed, and the old database stands. docs/backups.md"
    )
    requires_system_checks = []  # the database may be what is missing

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="the backup's file, or its name in BACKUP_DIR")
        parser.add_argument(
            "--force",
            action="store_true",
            help="also when the database has data; asks for its name",
        )
        parser.add_argument(
            "--yes",
            default="",
            metavar="DATABASE",
            help="the database's name, where nobody can type it",
        )
        parser.add_argument(
            "--drop-old", action="store_true", help="drop the old database after the swap"
        )
        parser.add_argument(
            "--key-file", default="", metavar="FILE", help="instead of BACKUP_ENCRYPTION_KEY_FILE"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="check file and key, and say what would be done"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        terminal.end_cleanly_on_sigterm()
        try:
            self._restore(options)
        except KhaachoError as error:
            raise CommandError(error.message) from error

    def _restore(self, options: dict[str, Any]) -> None:
        chosen = recovery.choose(
            options["file"],
            encryption.keys(options["key_file"]),
            progress=terminal.progress(self.stdout, "checked"),
        )
        manifest = chosen.manifest
        self.stdout.write(
            f"{manifest.name} is whole: {contents.rows(chosen.tables):,} rows of {manifest.database},"
            f" ledger {contents.ledger_sum(chosen.tables)} NPR"
        )
        place = server.place()
        self._ask(place, options)
        if options["dry_run"]:
            self.stdout.write(f"It would take the place of {place.database}. Nothing was changed.")
            return
        outcome = recovery.restore(
            chosen,
            drop_old=options["drop_old"],
            say=self.stdout.write,
            progress=terminal.progress(self.stdout, "restored"),
        )
        self._tell(outcome, place.database)
        self._bring_rows_up(chosen)

    def _ask(self, place: server.Place, options: dict[str, Any]) -> None:
        """Refuse a database with data, unless --force and its name typed."""
        filled = recovery.occupied(place)
        if not filled or options["dry_run"]:
            return
        name = place.database
        if not options["force"]:
            raise CommandError(
                f"{name} has data (in {len(filled)} tables, {filled[0]} first). Nothing was touched."
                " To put the backup in its place: --force. The old database is kept under a dated name."
            )
        typed = options["yes"]
        if not typed and sys.stdin.isatty():
            typed = input(f"Type the name of the database that is replaced ({name}): ")
        if typed != name:
            raise CommandError(
                f"The name was not typed: --force also needs --yes {name} where nobody can type."
                " Nothing was touched."
            )

    def _tell(self, outcome: recovery.Outcome, database: str) -> None:
        for remark in outcome.remarks:
            self.stdout.write(f"note: {remark}")
        self.stdout.write(
            f"{database} is restored: {outcome.rows:,} rows, ledger {outcome.ledger_sum} NPR"
        )
        if outcome.kept:
            self.stdout.write(
                f"The old database is {outcome.kept}. When it is not wanted any more:"
                f' DROP DATABASE "{outcome.kept}";'
            )
        if outcome.unapplied:
            self.stdout.write(
                f"{len(outcome.unapplied)} migrations are to be applied, from {outcome.unapplied[0]} on:"
                " manage.py migrate"
            )

    def _bring_rows_up(self, chosen: Chosen) -> None:
        """Let the restored rows know of the backups that lie beside this one."""
        directory = chosen.path.resolve().parent
        records.sync(shelf.listing(directory), directory)
