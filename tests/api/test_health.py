"""Health answers in bounded time, whatever hangs."""

import time

import pytest
from django.db import connection

from khaacho import jobs
from khaacho.enums import Role
from khaacho.models import Job
from monitoring import health
from tests.api.clients import anonymous, assert_problem, make_person, signed_in
from tests.processes import free_port, redis_server
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.django_db


@pytest.fixture
def _no_database(settings):
    """New connections go nowhere; probes open their own."""
    original = dict(connection.settings_dict)
    connection.settings_dict.update({"HOST": "127.0.0.1", "PORT": str(free_port())})
    yield
    connection.settings_dict.update(original)


def test_livez_touches_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        for path in ("/livez", "/livez/"):
            assert anonymous().get(path).content == b"ok\n"


def test_ready():
    for path in ("/readyz", "/readyz/"):
        response = anonymous().get(path)
        assert response.status_code == 200
        assert response.json() == {"status": "ready", "failures": [], "warnings": []}


def test_not_ready_while_draining(monkeypatch, settings, tmp_path):
    monkeypatch.setattr(health, "_draining", False)
    settings.BASE_DIR = tmp_path
    assert anonymous().get("/readyz").status_code == 200
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "draining").touch()
    assert anonymous().get("/readyz").json()["failures"] == ["draining"]
    (tmp_path / "var" / "draining").unlink()
    health.start_draining()
    assert anonymous().get("/readyz").status_code == 503


@pytest.mark.django_db(transaction=True)
def test_not_ready_with_a_migration_missing():
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_migrations SET name = 'x' || name WHERE app = 'sessions'")
    try:
        response = anonymous().get("/readyz")
        assert (response.status_code, response.json()["failures"]) == (503, ["migrations"])
    finally:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE django_migrations SET name = substr(name, 2) WHERE app = 'sessions'"
            )


def test_ready_without_redis(settings):
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    response = anonymous().get("/readyz")
    assert (response.status_code, response.json()["warnings"]) == (200, ["redis"])


def test_summary():
    for path in ("/api/v1/health", "/api/v1/health/"):
        response = anonymous().get(path)
        assert response.status_code == 200
        body = response.json()
        assert body.pop("uptime_seconds") >= 0
        assert body == {"status": "ok", "version": "0.1.0", "database": "ok", "redis": "ok"}


def test_hung_redis_delays_nobody(settings):
    with redis_server() as server:
        settings.REDIS_URL = server.url
        server.freeze()
        watch = Stopwatch()
        response = anonymous().get("/api/v1/health")
        assert watch.seconds < 0.7
        assert response.status_code == 200
        assert response.json()["status"] == "degraded"
        assert response.json()["redis"] == "down"


@pytest.mark.usefixtures("_no_database")
def test_database_down():
    watch = Stopwatch()
    response = anonymous().get("/api/v1/health")
    assert response.status_code == 503
    assert (response.json()["status"], response.json()["database"]) == ("unavailable", "down")
    ready = anonymous().get("/readyz")
    assert (ready.status_code, ready.json()["failures"]) == (503, ["database"])
    found = signed_in_without_database()
    assert [c["status"] for c in found["checks"] if c["name"] == "database_latency"] == ["failed"]
    assert watch.seconds < 3


def signed_in_without_database():
    return health.details()


@pytest.mark.django_db(transaction=True)
def test_database_that_hangs(monkeypatch):
    monkeypatch.setattr(health, "_ping", lambda: time.sleep(1) or 1.0)
    watch = Stopwatch()
    assert anonymous().get("/api/v1/health").status_code == 503
    assert watch.seconds < 0.9
    time.sleep(0.6)  # the probe's thread gives its connection back


def test_details_are_for_staff():
    assert_problem(anonymous().get("/api/v1/health/details"), 401, "not_authenticated")
    retailer = signed_in(make_person(Role.RETAILER))
    assert_problem(retailer.get("/api/v1/health/details"), 403, "permission_denied")


@pytest.mark.django_db(transaction=True)
def test_details():
    response = signed_in(make_person()).get("/api/v1/health/details")
    assert response.status_code == 200
    checks = {check["name"]: check for check in response.json()["checks"]}
    assert set(checks) == {
        "database_latency",
        "migrations",
        "oldest_due_job",
        "dead_jobs",
        "invalid_indexes",
        "last_backup",
        "last_drill",
        "beat",
        "redis_latency",
        "disk_used",
    }
    assert checks["migrations"] == {
        "name": "migrations",
        "value": 0,
        "unit": "unapplied",
        "threshold": 0,
        "status": "ok",
    }
    assert checks["oldest_due_job"]["status"] == "ok"
    assert checks["beat"] == {
        "name": "beat",
        "value": None,
        "unit": "seconds",
        "threshold": 60,
        "status": "warning",
    }
    assert response.json()["status"] == "warning"


@pytest.mark.django_db(transaction=True)
def test_details_see_dead_and_late_jobs(monkeypatch):
    Job.objects.create(queue="reports", kind="k", state="dead")
    late = Job.objects.create(queue="reports", kind="k")
    assert late.pk
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs SET run_after = now() - interval '2 minutes' WHERE id = %s", [late.pk]
        )
    checks = {check["name"]: check for check in health.details()["checks"]}
    assert (checks["dead_jobs"]["value"], checks["dead_jobs"]["status"]) == (1, "warning")
    assert checks["oldest_due_job"]["value"] == pytest.approx(120, abs=5)
    assert checks["oldest_due_job"]["status"] == "warning"


@pytest.mark.django_db(transaction=True)
def test_one_broken_measure_spares_the_others(monkeypatch):
    monkeypatch.setattr(
        health, "MEASURES", [health.Measure("odd", "SELEC", "x", 0), *health.MEASURES]
    )
    checks = {check["name"]: check["status"] for check in health.details()["checks"]}
    assert checks["odd"] == "failed"
    assert checks["dead_jobs"] == "ok"
    assert list(jobs.registered()) is not None
