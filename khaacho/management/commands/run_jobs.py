import signal
import time
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from khaacho import jobs
from khaacho.enums import Queue

IDLE_SECONDS = 1.0
SWEEP_SECONDS = 5.0


class Command(BaseCommand):
    help = "Do jobs in this process, without Celery or Redis. SIGTERM lets the current job finish."

    stopping = False

    def add_arguments(self, parser: CommandParser) -> None:
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument("--once", action="store_true", help="do at most one job")
        mode.add_argument("--drain", action="store_true", help="stop when nothing is due")
        parser.add_argument("--queue", choices=Queue.values, help="only jobs of this queue")
        parser.add_argument("--limit", type=int, help="stop after so many jobs")

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGALRM, _interrupt)
        limit = 1 if options["once"] else options["limit"]
        waits = not (options["once"] or options["drain"])
        done, failed = self._work(options["queue"], limit, waits=waits)
        self.stdout.write(f"done {done}, failed {failed}")

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _work(self, queue: str | None, limit: int | None, *, waits: bool) -> tuple[int, int]:
        done = failed = 0
        swept = -SWEEP_SECONDS
        while not self.stopping and (limit is None or done + failed < limit):
            if time.monotonic() - swept >= SWEEP_SECONDS:
                jobs.sweep()
                swept = time.monotonic()
            claim = jobs.claim_next(queue)
            if claim:
                success = _perform(claim)
                done, failed = done + success, failed + (not success)
            elif waits:
                time.sleep(IDLE_SECONDS)
            else:
                break
        return done, failed


def _perform(claim: jobs.Claim) -> bool:
    """Do the job within its soft limit, which Celery would keep."""
    signal.setitimer(signal.ITIMER_REAL, claim.soft_limit)
    try:
        return jobs.perform(claim)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise TimeoutError("the job took longer than its soft limit")
