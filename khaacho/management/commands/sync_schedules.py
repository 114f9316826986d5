from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from khaacho import schedules


class Command(BaseCommand):
    help = (
        "Create the schedule rows of django-celery-beat that are missing; others stay as they are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only print what is missing")

    def handle(self, *args: Any, **options: Any) -> None:
        for name in schedules.missing():
            if options["dry_run"]:
                self.stdout.write(f"would create {name}")
            elif schedules.create(name):
                self.stdout.write(f"created {name}")
        for name in schedules.obsolete():
            self.stdout.write(f"no longer in the code, delete it in the admin: {name}")
