"""Who must be at work: Redis, beat, a worker for each queue, their schedules; people who may, and books that agree."""

from collections.abc import Iterator
from datetime import timedelta

import redis
from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models import Q
from django.utils import timezone

from khaacho import jobs, permissions, schedules
from khaacho.enums import Queue
from khaacho.models import User
from khaacho.schedules import Standing
from monitoring import health, queues
from monitoring.invariants import run_invariants
from monitoring.preflight.lines import Fault
from orders.models import FiscalYear

AHEAD = timedelta(days=30)  # that the next fiscal year must be known before it begins
LONGEST_YEAR = timedelta(days=366)


def redis_keeps_queues() -> Iterator[Fault]:
    with redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=2.0, socket_connect_timeout=2.0
    ) as client:
        policy = client.info("memory").get("maxmemory_policy", "")
    if policy != "noeviction":
        yield Fault(
            f"Redis may forget queues when its memory is full: maxmemory-policy is {policy}.",
            'redis-cli -u "$REDIS_URL" config set maxmemory-policy noeviction  # and in redis.conf',
        )


def beat() -> Iterator[Fault]:
    seconds = schedules.beat_last_tick_seconds()
    if seconds is None or seconds > health.BEAT_LATE:
        said = "never" if seconds is None else f"{seconds:.0f} seconds ago"
        yield Fault(f"Beat last looked at the clock {said}.", "celery -A khaacho beat")


def workers() -> Iterator[Fault]:
    served = {name for node in jobs.live_nodes() for name in node.queues}
    for name in sorted(set(Queue.values) - served):
        yield Fault(f"No worker takes jobs of {name}.", f"celery -A khaacho worker -Q {name}")


def schedule_rows() -> Iterator[Fault]:
    for name, standing in schedules.standings().items():
        if standing in (Standing.MISSING, Standing.OUTDATED):
            yield Fault(f"The schedule {name} is {standing}.", "python manage.py sync_schedules")


def dead_jobs() -> Iterator[Fault]:
    _, dead = queues.backlog()
    if dead:
        yield Fault(
            f"{dead} jobs are dead.", "/admin/queues/  # look at each, then requeue or cancel it"
        )


def groups() -> Iterator[Fault]:
    have = {name for (name,) in Group.objects.values_list("name")}
    if missing := set(permissions.GROUPS) - have:
        yield Fault(
            f"Groups of staff are missing: {', '.join(sorted(missing))}.",
            "python manage.py sync_groups",
        )
    if not User.objects.filter(
        Q(groups__name="Owner") | Q(is_superuser=True), is_active=True
    ).exists():
        yield Fault("Nobody may do everything.", "python manage.py createsuperuser")


def fiscal_year() -> Iterator[Fault]:
    soon = timezone.localdate() + AHEAD
    latest = FiscalYear.objects.order_by("-starts_on").values_list("starts_on", flat=True).first()
    if latest is None or latest + LONGEST_YEAR < soon:
        yield Fault(
            f"Invoices of {soon} would have no fiscal year.",
            "/admin/orders/fiscalyear/add/",
        )


def books() -> Iterator[Fault]:
    """Check every invariant; seconds on a large trade."""
    for result in run_invariants([]):
        if result.violations:
            yield Fault(
                f"{result.violations} times violated: {result.invariant.rule}",
                f"python manage.py verify --only {result.invariant.name}",
            )
