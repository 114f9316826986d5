"""Makes months of the partitioned tables ahead now, as the nightly job does."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from khaacho import months


class Command(BaseCommand):
    help = (
        "Make the months of the partitioned tables that are missing, up to three beyond the current one."
        " Exit code 0: they are there; 1: somebody holds a table, try again. docs/partitions.md"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="only say until when months are made"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["dry_run"]:
            for name in months.make_ahead():
                self.stdout.write(f"made {name}")
        for table in months.TABLES:
            until = timezone.localtime(months.made_until(table))
            self.stdout.write(f"{table}: months are made until {until:%Y-%m-%d}")
        if not options["dry_run"] and months.wanting():
            raise CommandError("Not all could be made: somebody holds a table. Try again.")
