"""The nightly purge (khaacho/purging.py), by hand."""

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from khaacho import purging


class Command(BaseCommand):
    help = (
        "Delete finished jobs, keys, tokens and the like that are kept no longer; done nightly too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count what would go")

    def handle(self, *args: Any, **options: Any) -> None:
        found: Counter[str] = Counter()
        if options["dry_run"]:
            found.update({part.name: part.count() for part in purging.parts()})
        else:
            for part, deleted, _ in purging.run():
                found[part.name] += deleted
        verb = "would delete" if options["dry_run"] else "deleted"
        for name, count in found.items():
            if count:
                self.stdout.write(f"{verb} {count} {name}")
        self.stdout.write(f"{verb} {found.total()} rows")
