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
MEAL = 3 << 30  # bytes
HARMLESS, DEADLY = ("fail", "eat"), ("die", "endless")  # to the process that takes them


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
    """Want more than there is."""
    note("eaten")
    bytearray(MEAL)


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
    for name in HARMLESS + DEADLY:
        jobs.register(
            f"survival.{name}",
            f"{HERE}.{name}",
            queue=Queue.ORDER_PROCESSING,
            soft_limit=3,
            hard_limit=4,
        )


def fail() -> None:
    common.fail("failed")


def die() -> None:
    note("died")
    common.die()


register()
