"""Make the staff groups and their permissions."""

from typing import Any

from django.core.management.base import BaseCommand

from khaacho import permissions


class Command(BaseCommand):
    help = (
        "Make the staff groups and their permissions what khaacho/permissions.py says. Idempotent."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        permissions.sync_groups()
        self.stdout.write(f"Groups: {', '.join(permissions.GROUPS)}.")
