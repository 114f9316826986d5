"""Kinds of work that are poison, or sleep: `celery -A tests.survival.kinds` is the product's worker with them."""

import time
from contextlib import suppress

import django

from khaacho.celery import app  # isort: skip

django.setup()

from khaacho import jobs  # noqa: E402
from khaacho.enums import Queue  # noqa: E402
from khaacho.models import SignInFailure  # noqa: E402
from tests.khaacho import kinds as common  # noqa: E402

__all__ = ["app"]

HERE = "tests.survival.kinds"
MEGABYTE = 1 << 20
BITE, MOST = 50, 3_000  # MB that are eaten at once, and when nobody objects
POISONS = ("fail", "die", "eat", "endless")


def note(label: str) -> None:
    SignInFailure.objects.create(phone=label)


def hold(label: str, seconds: float) -> None:
    """Take effect and work on, in one transaction."""
    note(label)
    time.sleep(seconds)


def step(claim: jobs.Claim, label: str, seconds: float) -> None:
    """Work, and take effect if the job is still ours."""
    note(f"begun {claim.fence}")
    time.sleep(seconds)
    jobs.report_progress(claim, 50)
    note(label)


def eat() -> None:
    """Allocate more and more."""
    note("eaten")
    meal = [bytearray(BITE * MEGABYTE) for _ in range(MOST // BITE)]
    time.sleep(600)
    del meal


def endless() -> None:
    """Never end, whatever is raised meanwhile."""
    note("endless")
    while True:
        with suppress(Exception):
            time.sleep(1)


def register() -> None:
    for name in ("note", "hold", "step"):
        jobs.register(
            f"survival.{name}",
            f"{HERE}.{name}",
            queue=Queue.ORDER_PROCESSING,
            soft_limit=20,
            hard_limit=20,
            atomic=name != "step",
        )
    for name in POISONS:
        jobs.register(
            f"survival.{name}",
            f"{HERE}.{name}",
            queue=Queue.ORDER_PROCESSING,
            soft_limit=1,
            hard_limit=2,
        )


def fail() -> None:
    common.fail("failed")


def die() -> None:
    note("died")
    common.die()


register()
