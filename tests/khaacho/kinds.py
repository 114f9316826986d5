"""Kinds of work for tests. Their effect is a row of sign_in_failures: a plain table that counts."""

import contextlib
import logging
import os
import signal
import time
from dataclasses import dataclass
from datetime import timedelta

from django.db import DatabaseError, transaction

from khaacho import events, jobs, logs, schedules, sql
from khaacho.enums import Queue
from khaacho.events import Event
from khaacho.models import SignInFailure

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TeaBrewed(Event):
    pot_id: int
    sort: str

    @property
    def reference(self) -> str:
        return f"pot:{self.pot_id}"


@dataclass(frozen=True, kw_only=True)
class TeaSpilt(Event):
    pot_id: int


def effects() -> list[str]:
    return list(SignInFailure.objects.order_by("pk").values_list("phone", flat=True))


def note(label: str) -> None:
    SignInFailure.objects.create(phone=label)


def note_slowly(label: str, seconds: float) -> None:
    note(label)
    time.sleep(seconds)


def wait(label: str, seconds: float) -> None:
    """Stand in a statement of the server."""
    note(label)
    sql.fetch("SELECT pg_sleep(%s)", [seconds])


def note_request() -> None:
    """Leave the request's id as the effect, and pass it on to another job."""
    note(logs.request_id.get())
    jobs.enqueue("test.note", {"label": "child"})


def fail(label: str) -> None:
    note(label)
    raise RuntimeError("no answer from +977 9812345678, token 3f9a8b7c6d5e4f30aa11bb22cc33dd44")


def clash(phone: str, secret: str) -> None:
    """Have PostgreSQL tell in an error what must not be logged."""
    with contextlib.suppress(DatabaseError), transaction.atomic():
        sql.execute("SELECT %s::int", [secret])
    log.warning("test.clash", extra={"phone": phone, "password": secret})
    sql.execute("INSERT INTO users (phone, password) VALUES (%s, %s)", [phone, secret])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def never_end() -> None:
    """Swallow the soft limit too."""
    while True:
        try:
            time.sleep(60)
        except Exception:
            time.sleep(60)


def leave_a_process() -> None:
    """Fork a process that outlives this one, then die."""
    if os.fork() == 0:
        time.sleep(5)
        os._exit(0)
    die()


def eat() -> None:
    """Take 64 MB at a time and keep all of it."""
    eaten = []
    while True:
        eaten.append(b"x" * 2**26)


def report_for(claim: jobs.Claim, label: str, seconds: float) -> None:
    """Report progress ten times, then leave the effect."""
    for step in range(10):
        jobs.report_progress(claim, step * 10)
        time.sleep(seconds / 10)
    note(label)


def call_network(claim: jobs.Claim, label: str) -> None:
    note(f"{label} {claim.attempts}")
    jobs.report_progress(claim, 40)


def drink(event: TeaBrewed) -> None:
    note(f"drank {event.sort} of pot {event.pot_id} ({type(event).__name__})")


def refuse(event: TeaBrewed) -> None:
    note("refused")
    raise ValueError(event.sort)


def register() -> None:
    names = (
        "note",
        "note_slowly",
        "note_request",
        "fail",
        "eat",
        "leave_a_process",
        "clash",
        "wait",
    )
    for name in names:
        jobs.register(f"test.{name}", f"tests.khaacho.kinds.{name}", queue=Queue.REPORTS)
    jobs.register("test.die", "tests.khaacho.kinds.die", queue=Queue.REPORTS, hard_limit=1)
    jobs.register(
        "test.short",
        "tests.khaacho.kinds.note_slowly",
        queue=Queue.REPORTS,
        soft_limit=1,
        hard_limit=2,
    )
    jobs.register(
        "test.never_end", "tests.khaacho.kinds.never_end", queue=Queue.REPORTS, hard_limit=1
    )
    jobs.register(
        "test.report_for", "tests.khaacho.kinds.report_for", queue=Queue.REPORTS, atomic=False
    )
    jobs.register(
        "test.call_network",
        "tests.khaacho.kinds.call_network",
        queue=Queue.WHATSAPP,
        atomic=False,
    )
    events.subscribe(TeaBrewed, "tests.khaacho.kinds.refuse")
    events.subscribe(TeaBrewed, "tests.khaacho.kinds.drink", queue=Queue.WHATSAPP)
    schedules.register("every second", "test.note_request", every=timedelta(seconds=1))
    schedules.register("every sunday", "test.die", at=(4, 30), weekday=0)
    schedules.register("every month", "test.fail", at=(5, 0), day=1)
