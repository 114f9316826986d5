"""Is it well? Every answer comes in bounded time, whatever hangs: database, pool or Redis.

Probes run on threads of their own with Django's own connection, pool included, so that they see what a
request would see; one that does not answer in time has failed.
"""

import shutil
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, TypedDict, TypeVar

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from redis.backoff import NoBackoff
from redis.retry import Retry

from khaacho import schedules, sql
from monitoring import queues

T = TypeVar("T")

DATABASE_SECONDS = 0.5
READY_SECONDS = (
    0.45  # of everything that readiness asks: the answer is there within DATABASE_SECONDS
)
DETAILS_SECONDS = 2.0
OLDEST_DUE = 60  # seconds that a job may wait
BEAT_LATE = 60  # seconds; it looks at the clock every five
REDIS_SECONDS = 0.25
DISK_USED = 85  # per cent of the fullest watched disk
LAG_SECONDS = 30  # that a replica may be behind

_started = time.monotonic()
# A probe of a database that hangs keeps its thread: those of Redis have their own, and beyond four nobody asks.
_probes = ThreadPoolExecutor(max_workers=4, thread_name_prefix="health")
_cache_probes = ThreadPoolExecutor(max_workers=4, thread_name_prefix="health-redis")
_draining = False


class Summary(TypedDict):
    status: str
    version: str
    uptime_seconds: int
    database: str
    redis: str


class Readiness(TypedDict):
    status: str
    failures: list[str]
    warnings: list[str]


@dataclass(frozen=True)
class Check:
    """One thing looked at: ok at or below the threshold. `value` None when it could not be read."""

    name: str
    value: float | None
    unit: str
    threshold: float
    status: str

    @classmethod
    def of(cls, name: str, value: float | None, unit: str, threshold: float, worse: str) -> "Check":
        fine = value is not None and value <= threshold
        return cls(name, value, unit, threshold, "ok" if fine else worse)


@dataclass(frozen=True)
class Measure:
    """A number that one statement reads, and how bad it is above its threshold."""

    name: str
    statement: str
    unit: str
    threshold: float
    worse: str = "warning"


# Of nobody where there is no replica: then it reads as NULL.
LAG = Measure(
    "replica_lag",
    "SELECT max(extract(epoch FROM coalesce(replay_lag, interval '0'))) FROM pg_stat_replication",
    "seconds",
    LAG_SECONDS,
)
# NULL reads as unknown, and so as not well.
MEASURES = [
    Measure(
        "invalid_indexes",
        "SELECT count(*) FROM pg_index WHERE NOT indisvalid",
        "indexes",
        0,
    ),
    Measure(
        "last_backup",
        "SELECT extract(epoch FROM now() - max(snapshot_at)) / 3600 FROM backups WHERE state = 'done'",
        "hours",
        26,
    ),
    Measure(
        "last_drill",
        "SELECT extract(epoch FROM now() - max(verified_at)) / 86400 FROM backups",
        "days",
        9,
    ),
]


def start_draining() -> None:
    """Fail readiness from now on in this process; called when it is told to stop."""
    global _draining  # noqa: PLW0603 - a fact about this process
    _draining = True


def is_draining() -> bool:
    """Whether this process is stopping, or an operator drains this machine: `touch var/draining`."""
    return _draining or (settings.BASE_DIR / "var" / "draining").exists()


def summary() -> Summary:
    """Return the short state of health: "ok", "degraded" without Redis, "unavailable" without database."""
    cache_probe = _cache_probes.submit(redis_latency)
    database = _result(_start(_on_database(_ping)), DATABASE_SECONDS) is not None
    redis_answers = _result(cache_probe, REDIS_SECONDS) is not None
    healthy = "ok" if redis_answers else "degraded"
    return {
        "status": healthy if database else "unavailable",
        "version": version(),
        "uptime_seconds": int(time.monotonic() - _started),
        "database": "ok" if database else "down",
        "redis": "ok" if redis_answers else "down",
    }


def readiness() -> Readiness:
    """Say whether this process may be sent requests. Redis down is a warning only."""
    expected_migrations()
    ends = time.monotonic() + READY_SECONDS
    cache_probe = _cache_probes.submit(redis_latency)
    unapplied = _result(_start(_on_database(_unapplied)), READY_SECONDS)
    failures = ["draining"] if is_draining() else []
    if unapplied is None:
        failures.append("database")
    elif unapplied:
        failures.append("migrations")
    answered = _result(cache_probe, max(0.0, min(REDIS_SECONDS, ends - time.monotonic())))
    warnings = [] if answered is not None else ["redis"]
    status = "unavailable" if failures else "ready"
    return {"status": status, "failures": failures, "warnings": warnings}


def details() -> dict[str, Any]:
    """Return every check with value, unit and threshold, and the worst status of all."""
    expected_migrations()
    cache_probe = _cache_probes.submit(redis_latency)
    found = _result(_start(_on_database(_database_checks)), DETAILS_SECONDS)
    checks = found or [Check.of("database_latency", None, "ms", DATABASE_SECONDS * 1000, "failed")]
    latency = _result(cache_probe, REDIS_SECONDS)
    checks.append(Check.of("redis_latency", latency, "ms", REDIS_SECONDS * 1000, "warning"))
    checks.append(_disks())
    statuses = {check.status for check in checks}
    worst = next((s for s in ("failed", "warning") if s in statuses), "ok")
    return {"status": worst, "version": version(), "checks": [asdict(check) for check in checks]}


def redis_latency() -> float | None:
    """Return how many milliseconds Redis takes to answer, None when it does not."""
    try:
        return ask_redis()
    except (redis.RedisError, OSError):
        return None


def ask_redis() -> float:
    """Return how many milliseconds Redis takes to answer. Raises RedisError or OSError in bounded time."""
    begun = time.monotonic()
    with redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        client.ping()
    return _milliseconds(begun)


@cache
def version() -> str:
    """Return the version of this release, as pyproject.toml names it."""
    try:
        project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())
    except OSError:
        return "unknown"
    return str(project["project"]["version"])


@cache
def expected_migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations that this release ships; read from disk once."""
    return frozenset(MigrationLoader(None).disk_migrations)


def _start(probe: Callable[[], T]) -> Future[T]:
    return _probes.submit(probe)


def _result(future: Future[T], seconds: float) -> T | None:
    """Return the probe's result, None when it is late or its database failed."""
    try:
        return future.result(timeout=seconds)
    except (Late, DatabaseError, InterfaceError):
        future.cancel()
        return None


def _on_database(probe: Callable[[], T]) -> Callable[[], T]:
    """Give the probe's thread a connection with a short timeout, and take it away again."""

    def run() -> T:
        try:
            with transaction.atomic():
                sql.execute(f"SET LOCAL statement_timeout = {int(DATABASE_SECONDS * 1000)}")
                return probe()
        finally:
            connection.close()

    return run


def _ping() -> float:
    begun = time.monotonic()
    sql.fetch("SELECT 1")
    return _milliseconds(begun)


def _unapplied() -> int:
    applied = MigrationRecorder(connection).migration_qs.values_list("app", "name")
    return len(expected_migrations() - set(applied))


def _database_checks() -> list[Check]:
    checks = [
        Check.of("database_latency", _ping(), "ms", DATABASE_SECONDS * 1000, "failed"),
        Check.of("migrations", _unapplied(), "unapplied", 0, "failed"),
    ]
    return [*checks, *_work(), *(_measure(measure) for measure in MEASURES), *_replicas()]


def _replicas() -> list[Check]:
    """Return the lag of the replica that is furthest behind; nothing where there is none."""
    found = _measure(LAG)
    return [] if found.value is None and found.status != "failed" else [found]


def _disks() -> Check:
    """Return how full the fullest watched disk of this machine is."""
    used = None
    with suppress(OSError):
        rooms = [shutil.disk_usage(path) for path in settings.WATCHED_DISKS]
        used = max((100 * (1 - r.free / (r.used + r.free)) for r in rooms), default=0.0)
        used = round(used, 1)
    return Check.of("disk_used", used, "percent", DISK_USED, "warning")


def _work() -> list[Check]:
    """Return what the queue board says too, in a savepoint of its own."""
    oldest = dead = beat = None
    worse = "warning"
    try:
        with transaction.atomic():
            oldest, dead = queues.backlog()
            beat = schedules.beat_last_tick_seconds()
    except DatabaseError:
        worse = "failed"
    return [
        Check.of("oldest_due_job", oldest, "seconds", OLDEST_DUE, worse),
        Check.of("dead_jobs", dead, "jobs", 0, worse),
        Check.of("beat", beat, "seconds", BEAT_LATE, worse),
    ]


def _measure(measure: Measure) -> Check:
    """Read one number in a savepoint of its own, so that one failing spares the others."""
    value = None
    try:
        with transaction.atomic():
            row = sql.fetch_one(measure.statement)
            value = float(row[0]) if row and row[0] is not None else None
    except DatabaseError:
        return Check(measure.name, None, measure.unit, measure.threshold, "failed")
    return Check.of(measure.name, value, measure.unit, measure.threshold, measure.worse)


def _milliseconds(begun: float) -> float:
    return round((time.monotonic() - begun) * 1000, 2)
