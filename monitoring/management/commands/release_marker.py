"""Marks a release, so that charts show it and statements before and after it can be compared."""

import getpass
import os
import socket
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from monitoring.exceptions import ReleaseMarked
from monitoring.history import releases


class Command(BaseCommand):
    help = (
        "Remember that a release is brought out now, for the marks of the charts and for what became slower."
        " Marking the same name again changes nothing, and is an error when another time is given."
    )
    requires_system_checks = []  # a deployment must not fail for it

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the release is called, e.g. a version or a commit")
        parser.add_argument(
            "--at", type=_moment, metavar="TIME", help="when: ISO 8601, in Kathmandu without a zone"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be stored")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            marker, is_new = releases.mark(
                options["name"],
                at=options["at"],
                host=socket.gethostname(),
                made_by=_who(),
                dry_run=options["dry_run"],
            )
        except (ReleaseMarked, ValueError) as error:
            raise CommandError(str(error)) from None
        if not is_new:
            verb = "is marked already:"
        else:
            verb = "would be marked:" if options["dry_run"] else "is marked:"
        when = timezone.localtime(marker.released_at).isoformat(sep=" ", timespec="seconds")
        self.stdout.write(f"{marker.name} {verb} {when}, {marker.made_by}@{marker.host}")


def _moment(given: str) -> datetime:
    """Return the time that was given; ValueError makes argparse explain it."""
    found = parse_datetime(given)
    if found is None:
        raise ValueError(given)
    return timezone.make_aware(found) if timezone.is_naive(found) else found


def _who() -> str:
    """Return who runs this, where the system knows a name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's number without a name
        return str(os.getuid())
