"""Bring the schedule's rows to what the code says, as far as operators did not say otherwise."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from khaacho import schedules
from khaacho.schedules import Standing

DONE = {
    Standing.MISSING: "created",
    Standing.OUTDATED: "updated",
    Standing.EDITED: "kept as edited",
}
PLANNED = {
    Standing.MISSING: "would create",
    Standing.OUTDATED: "would update",
    Standing.EDITED: "would keep as edited",
}


class Command(BaseCommand):
    help = (
        "Create the schedule rows of django-celery-beat that are missing, and update those whose"
        " timing changed in the code; what an operator edited or disabled stays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only print what would be done")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        for name, standing in schedules.standings().items():
            found = standing if dry_run else schedules.sync(name)
            if found in DONE:
                self.stdout.write(f"{(PLANNED if dry_run else DONE)[found]} {name}")
        for name in schedules.obsolete():
            self.stdout.write(f"no longer in the code, delete it in the admin: {name}")
