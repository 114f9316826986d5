"""Readiness while the whole database server stands still: refused in time, and well again after it."""

import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection
from psycopg.conninfo import conninfo_to_dict

from deploy.local import postgres
from deploy.local.services import bring_up, ephemeral_home
from monitoring import health
from tests.api.clients import anonymous
from tests.processes import standing_still

pytestmark = [pytest.mark.processes, pytest.mark.django_db]

TABLE = "CREATE TABLE django_migrations (id bigserial, app text, name text, applied timestamptz)"


@pytest.fixture
def server(settings) -> Iterator[int]:
    """A second PostgreSQL, in which all migrations seem applied and which probes ask; return its pid."""
    with ephemeral_home("readiness") as home:
        url = bring_up(home, {"REDIS_URL": settings.REDIS_URL}, durable=False).database_url
        with psycopg.connect(url) as own:
            own.execute(TABLE)
            with own.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO django_migrations (app, name) VALUES (%s, %s)",
                    sorted(health.expected_migrations()),
                )
        info = conninfo_to_dict(url)
        original = dict(connection.settings_dict)
        connection.settings_dict.update(
            {
                "HOST": info["host"],
                "PORT": "",
                "NAME": info["dbname"],
                "USER": info["user"],
                "PASSWORD": "",
            }
        )
        try:
            [lock] = home.glob("pg*/postmaster.pid")
            yield int(lock.read_text().splitlines()[0])
        finally:
            connection.settings_dict.update(original)
    assert not postgres.daemon(home).running


def knock() -> tuple[float, int, dict]:
    begun = time.monotonic()
    answer = anonymous().get("/readyz")
    return time.monotonic() - begun, answer.status_code, answer.json()


def test_readiness_fails_within_half_a_second_while_the_server_stands_still(server):
    assert knock()[1:] == (200, {"status": "ready", "failures": [], "warnings": []})
    with standing_still(server):
        for _ in range(8):  # more often than there are threads for probes
            seconds, status, said = knock()
            assert (status, said["failures"], said["warnings"]) == (503, ["database"], [])
            assert seconds < 0.5 + 0.3  # that a busy machine may need to notice
    deadline = time.monotonic() + 10
    while knock()[1] != 200:
        assert time.monotonic() < deadline
