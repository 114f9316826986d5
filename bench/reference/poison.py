"""`celery -A bench.reference.poison`: the small job of bench.reference.jobs, and four that are poison."""

import os
import signal
import time
from contextlib import suppress

from bench.reference.jobs import app

__all__ = ["app"]

from khaacho import jobs
from khaacho.enums import Queue

HERE = "bench.reference.poison"
KINDS = ("raises", "eats", "dies", "is_endless")
MEAL = 8 << 30  # bytes: more than a process that does jobs may have
LIMIT = 4  # seconds


def raises() -> None:
    raise RuntimeError("poison")


def eats() -> None:
    bytearray(MEAL)


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def is_endless() -> None:
    while True:
        with suppress(Exception):  # the soft limit too
            time.sleep(1)


for name in KINDS:
    jobs.register(
        f"bench.{name}",
        f"{HERE}.{name}",
        queue=Queue.ORDER_PROCESSING,
        soft_limit=LIMIT - 1,
        hard_limit=LIMIT,
    )
