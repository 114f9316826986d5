from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from khaacho import schedules


class Command(BaseCommand):
    help = (
        "Create the schedule rows of django-celery-beat that are missing; operators' changes stay."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only print what is missing")

    def handle(self, *args: Any, **options: Any) -> None:
        for name in schedules.missing():
            self.stdout.write(f"{'would create' if options['dry_run'] else 'created'} {name}")
            if not options["dry_run"]:
                schedules.create(name)
