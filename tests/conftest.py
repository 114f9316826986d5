"""What every test stands on: a real PostgreSQL, a Redis of its own, and no network beyond loopback."""

from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from django.db import connections
from django.test import TransactionTestCase, override_settings
from pytest_django import DjangoDbBlocker

from khaacho import breaker
from tests.processes import redis_server

# Filled by migrations and never emptied; a test that edits one of these rows must put it back.
REFERENCE_TABLES = ("auth_permission", "django_content_type", "django_migrations", "fiscal_years")

# Append-only tables refuse TRUNCATE and DELETE through triggers, which their owner may disable. All in
# one transaction, and only the tables that have rows: 2 ms where Django's own flush takes 200.
FLUSH = """
DO $$
DECLARE
    names text[] := '{}';
    name text;
    filled boolean;
BEGIN
    FOR name IN
        SELECT oid::regclass::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
            AND NOT relispartition AND relname <> ALL ('{KEPT}')
        ORDER BY relname
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', name) INTO filled;
        IF filled THEN names := names || name; END IF;
    END LOOP;
    FOREACH name IN ARRAY names LOOP
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', name);
    END LOOP;
    FOREACH name IN ARRAY names LOOP
        EXECUTE format('DELETE FROM %s', name);
    END LOOP;
    SET CONSTRAINTS ALL IMMEDIATE;
    FOREACH name IN ARRAY names LOOP
        EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', name);
    END LOOP;
END $$
""".replace("KEPT", ",".join(REFERENCE_TABLES))


def flush(case: TransactionTestCase | None = None) -> None:
    """Empty every table but the reference tables; what Django does after a transactional test."""
    with connections["default"].cursor() as cursor:
        cursor.execute(FLUSH)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.option.allow_hosts = config.option.allow_hosts or "127.0.0.1,::1"
    config.option.allow_unix_socket = True
    TransactionTestCase._fixture_teardown = flush  # type: ignore[method-assign]
    settings.SOURCES_SECONDS = 0  # counted, but not published while a test looks at the tables
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Start from empty tables, also when an earlier run was killed and left its rows."""
    with django_db_blocker.unblock():
        flush()


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
    """Start with an empty Redis that everybody believes to be well."""
    breaker.close_all()
    _redis.flushall()
