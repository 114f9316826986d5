"""Forget every cached page: after edits of products, offers or vendors in SQL."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from khaacho import cache_wire, caches


class Command(BaseCommand):
    help = "Forget every cached page, as after edits in SQL, which no verb tells the cache of."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            caches.forget_everything()
        except cache_wire.Unavailable:
            raise CommandError("Redis does not answer.") from None
        self.stdout.write("Every page is computed anew from now on.")
