"""The drill: proves that the newest backup can be restored."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from khaacho.exceptions import KhaachoError
from monitoring.backups import encryption, nightly, shelf, terminal


class Command(BaseCommand):
    help = (
        "Restore the newest backup into a database beside the site's, compare its rows and sums with the"
        " manifest, check the rules of the trade, and drop it again. Exit code 0: it can be restored;"
        " 1: it cannot; 2: it can, but its rows break rules of the trade. docs/backups.md"
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", default="", help="another one than the newest")
        parser.add_argument("--dir", default="", metavar="DIRECTORY", help="instead of BACKUP_DIR")
        parser.add_argument(
            "--key-file", default="", metavar="FILE", help="instead of BACKUP_ENCRYPTION_KEY_FILE"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        terminal.end_cleanly_on_sigterm()
        try:
            proof = nightly.prove(
                shelf.directory(options["dir"]),
                encryption.keys(options["key_file"]),
                given=options["name"],
                say=self.stdout.write,
                progress=terminal.progress(self.stdout, "restored"),
            )
        except KhaachoError as error:
            raise CommandError(error.message) from error
        self.stdout.write(
            f"{proof.name} is verified: {proof.rows:,} rows, ledger {proof.ledger_sum} NPR,"
            f" {terminal.size(proof.database_size)} in {proof.seconds:.1f} s"
            f" ({proof.seconds_per_gigabyte:.0f} s per GB)"
        )
        if proof.violations is None:
            self.stdout.write("It is of an older release: the rules of the trade were not checked.")
        elif proof.violations:
            self.stdout.write(
                f"Its rows break rules of the trade {proof.violations} times: manage.py verify"
            )
            raise SystemExit(2)
        else:
            self.stdout.write("No rule of the trade is violated in it.")
