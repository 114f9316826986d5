"""Brings a backup back from the bucket."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from khaacho.exceptions import KhaachoError
from monitoring.backups import s3, shelf, terminal


class Command(BaseCommand):
    help = (
        "List the backups in the bucket (BACKUP_S3_BUCKET), or fetch one, checked, into BACKUP_DIR."
    )
    requires_system_checks = []  # a new machine has no database yet

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help="which one; without, they are listed")
        parser.add_argument("--dir", default="", metavar="DIRECTORY", help="instead of BACKUP_DIR")

    def handle(self, *args: Any, **options: Any) -> None:
        terminal.end_cleanly_on_sigterm()
        if not s3.configured():
            raise CommandError("BACKUP_S3_BUCKET is not set: there is no bucket.")
        try:
            bucket = s3.Bucket()
            if options["name"]:
                directory = shelf.directory(options["dir"])
                with shelf.alone(directory):
                    path = bucket.fetch(
                        options["name"], directory, terminal.progress(self.stdout, "fetched")
                    )
                self.stdout.write(f"{path} is whole")
                return
            for each in bucket.listing():
                self.stdout.write(
                    f"{each.name}  {terminal.size(each.size):>10}  of {each.database}"
                )
        except KhaachoError as error:
            raise CommandError(error.message) from error
