from typing import Any

from django.core.management.base import BaseCommand

from khaacho import jobs


class Command(BaseCommand):
    help = (
        "Release jobs whose worker died and publish again what the broker lost; beat does so too."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"published {jobs.sweep()}")
