"""What every test stands on: a real PostgreSQL, a Redis of its own, and no network beyond loopback."""

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis
from django.conf import settings
from django.contrib import admin
from django.db import connections
from django.test import TransactionTestCase, override_settings
from pytest_django import DjangoDbBlocker

from khaacho import breaker, caches, permissions
from tests.processes import redis_server

admin.autodiscover()  # tests look at what is registered before any page is asked for

# Filled by migrations and sync_groups, and never emptied; a test that edits one of these rows must put it back.
REFERENCE_TABLES = (
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "django_content_type",
    "django_migrations",
    "fiscal_years",
)

# Directories whose tests share a database that takes long to make, the longest first.
_WORLDS = [
    Path(__file__).parent / name
    for name in ("monitoring/backups", "plans", "monitoring/advice", "monitoring/database", "local")
]
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

# Append-only tables refuse TRUNCATE and DELETE through triggers, which do not fire for a superuser who says that
# he replicates, and which their owner may disable, slower. All in one transaction, and only the tables that have
# rows; rows of large tables would be looked through by later tests although they are dead.
FLUSH = """
DO $$
DECLARE
    names text[] := '{}';
    name text;
    filled boolean;
    large boolean;
    trusted boolean := current_setting('is_superuser')::boolean;
BEGIN
    PERFORM set_config('session_replication_role', 'replica', true) WHERE trusted;
    FOR name IN
        SELECT oid::regclass::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
            AND NOT relispartition AND relname <> ALL ('{KEPT}')
            AND (relkind = 'p' OR pg_relation_size(oid) > 0)
        ORDER BY relname
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', name) INTO filled;
        IF filled THEN names := names || name; END IF;
    END LOOP;
    FOREACH name IN ARRAY names LOOP
        IF NOT trusted THEN EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', name); END IF;
    END LOOP;
    FOREACH name IN ARRAY names LOOP
        SELECT trusted AND sum(pg_relation_size(relid)) > 1000000
                AND NOT EXISTS (SELECT FROM pg_constraint WHERE confrelid = name::regclass)
            INTO large FROM pg_partition_tree(name::regclass);
        EXECUTE format(CASE WHEN large THEN 'TRUNCATE %s' ELSE 'DELETE FROM %s' END, name);
    END LOOP;
    SET CONSTRAINTS ALL IMMEDIATE;
    FOREACH name IN ARRAY names LOOP
        IF NOT trusted THEN EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', name); END IF;
    END LOOP;
    PERFORM set_config('session_replication_role', 'origin', true) WHERE trusted;
    PERFORM pg_advisory_unlock_all();
    PERFORM pg_stat_force_next_flush();  -- what a test counted is not the next one's
END $$
""".replace("KEPT", ",".join(REFERENCE_TABLES))


def flush(case: TransactionTestCase | None = None) -> None:
    """Empty every table but the reference tables; what Django does after a transactional test."""
    with connections["default"].cursor() as cursor:
        cursor.execute(FLUSH)


def pytest_collection_finish() -> None:
    """Leave what is loaded out of the search for garbage, and search a fifteenth as often: 3 % of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 15, 15)


def _never(case: TransactionTestCase) -> bool:
    return False


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.option.allow_hosts = config.option.allow_hosts or "127.0.0.1,::1"
    config.option.allow_unix_socket = True
    TransactionTestCase._fixture_teardown = flush  # type: ignore[method-assign]
    # A new session reads the catalogue of every table that it touches, and emptying touches all: 40 ms.
    TransactionTestCase._should_reload_connections = _never  # type: ignore[method-assign]
    hypothesis.settings.register_profile(
        "untimed", deadline=None
    )  # nobody knows who else computes here
    hypothesis.settings.load_profile("untimed")
    settings.SOURCES_SECONDS = 0  # counted, but not published while a test looks at the tables
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each process a share that begins with what takes longest; files stay as they were shuffled.

    The shares are those that `--dist worksteal` hands out: as many tests to each, in their order; later who has
    none takes some of another's last ones. So a directory that makes a world for itself makes it once, not in
    each process, and no process is left with a long file at the end.
    """
    heads: list[list[pytest.Item]] = [[] for _ in range(_PROCESSES)]
    rest: list[pytest.Item] = []
    long: dict[Path, list[pytest.Item]] = {path: [] for path in _WORLDS}
    for item in items:
        world = next((path for path in _WORLDS if item.path.is_relative_to(path)), None)
        if world or item.get_closest_marker("long"):
            long.setdefault(world or item.path, []).append(item)
        else:
            rest.append(item)
    for number, together in enumerate(long.values()):
        heads[number % _PROCESSES] += together
    left = len(items)
    items.clear()
    for number, head in enumerate(heads):
        share = left // (_PROCESSES - number)
        filling = max(0, share - len(head))
        items += head + rest[:filling]
        del rest[:filling]
        left -= share
    items += rest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Give up a monitoring connection of nearly a minute: the server ends those that are idle for one."""
    monitor = connections["monitor"]
    if monitor.close_at is not None and time.monotonic() >= monitor.close_at - 15:
        monitor.close()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """Copy the test database from one that `make test` has migrated: each migration takes seconds."""
    if template := os.environ.get("TEST_DATABASE_TEMPLATE"):
        connections["default"].settings_dict["TEST"]["TEMPLATE"] = template


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Start from empty tables, also when an earlier run was killed and left its rows, and with our groups."""
    with django_db_blocker.unblock():
        flush()
        permissions.sync_groups()


@pytest.fixture(scope="session", autouse=True)
def _static_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """WhiteNoise warns of a missing directory, and warnings are errors; it reads all that lies in there."""
    with override_settings(STATIC_ROOT=tmp_path_factory.mktemp("static")):
        yield


@pytest.fixture(scope="session", autouse=True)
def redis_url() -> Iterator[str]:
    """A Redis server of this session's own, which everything in this process uses."""
    with redis_server() as server:
        cache = settings.CACHES["default"] | {"LOCATION": server.url}
        with override_settings(
            REDIS_URL=server.url,
            CACHE_URL=server.url,
            CELERY_BROKER_URL=server.url,
            CACHES={"default": cache},
            JOB_BACKOFF_SECONDS=5.0,
            JOB_REPUBLISH_SECONDS=15.0,
            JOB_LEASE_MARGIN_SECONDS=15.0,
        ):
            yield server.url


@pytest.fixture(scope="session")
def _redis(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(autouse=True)
def _empty_redis(_redis: redis.Redis) -> None:
    """Start with an empty Redis that everybody believes to be well, and that holds no page to be forgotten."""
    breaker.close_all()
    _redis.flushall()
    caches._debt.paid = caches._debt.incurred
