"""Direct mode (khaacho/direct.py) from the command line."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from khaacho.direct import Order, Parent
from khaacho.enums import Queue


class Command(BaseCommand):
    help = "Do jobs without Celery or Redis. SIGTERM lets the current job finish."

    def add_arguments(self, parser: CommandParser) -> None:
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument("--once", action="store_true", help="do at most one job")
        mode.add_argument("--drain", action="store_true", help="stop when nothing is due")
        parser.add_argument("--queue", choices=Queue.values, help="only jobs of this queue")
        parser.add_argument("--limit", type=int, help="stop after so many jobs")

    def handle(self, *args: Any, **options: Any) -> None:
        order = Order(
            queue=options["queue"],
            limit=1 if options["once"] else options["limit"],
            waits=not (options["once"] or options["drain"]),
        )
        try:
            tally = Parent(order).work()
        except ChildProcessError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"done {tally.done}, failed {tally.failed}")
