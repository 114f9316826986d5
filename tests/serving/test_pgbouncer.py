"""Behind PgBouncer in transaction mode: a day's work on sessions that belong to nobody, and nothing left on them."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import httpx
import pytest
from django.core.management import call_command
from django.db import connection

from khaacho.enums import JobState, Role
from khaacho.models import Job
from orders.models import Order
from payments.models import Payment
from tests.factories import (
    advance,
    make_offer,
    make_order,
    make_retailer,
    make_user,
    retailer_actor,
    vendor_actor,
)
from tests.processes import ROOT, environment
from tests.serving.pooler import SESSIONS, Pooler, pgbouncer
from tests.serving.sites import bearer, desk, site

pytestmark = [
    pytest.mark.processes,
    pytest.mark.long,
    pytest.mark.patient,
    pytest.mark.django_db(transaction=True, databases=["default", "direct"]),
]

ORDERS = 12
# What PgBouncer itself keeps for its clients, and sets for each again.
KEPT_BY_PGBOUNCER = {
    "application_name",
    "client_encoding",
    "DateStyle",
    "standard_conforming_strings",
    "TimeZone",
}
LEFT = {
    "prepared statements": "SELECT name FROM pg_prepared_statements",
    "cursors": "SELECT name FROM pg_cursors WHERE is_holdable",
    "channels": "SELECT pg_listening_channels()",
    "advisory locks": "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
    "temporary tables": (
        "SELECT relname FROM pg_class WHERE relpersistence = 't' AND pg_table_is_visible(oid)"
    ),
    "settings": "SELECT name FROM pg_settings WHERE source = 'session'",
}


@pytest.fixture
def pooler() -> Iterator[Pooler]:
    with pgbouncer() as found:
        yield found


@pytest.fixture
def _timeouts_of_the_role() -> Iterator[None]:
    call_command("set_role_timeouts", verbosity=0)
    yield
    with connection.cursor() as cursor:
        cursor.execute("SELECT format('%I IN DATABASE %I', current_user, current_database())")
        cursor.execute(f"ALTER ROLE {cursor.fetchone()[0]} RESET ALL")


def through(pooler: Pooler, **extra: str) -> dict[str, str]:
    direct = environment()["DATABASE_URL"]
    return {
        "DATABASE_URL": pooler.url,
        "DATABASE_DIRECT_URL": direct,
        "DB_PGBOUNCER": "true",
        **extra,
    }


def left_behind(pooler: Pooler) -> dict[str, set[str]]:
    """Return what clients left on the server's sessions."""
    found: dict[str, set[str]] = {}
    with pooler.every_session() as sessions:
        for session in sessions:
            for what, statement in LEFT.items():
                found.setdefault(what, set()).update(
                    row[0] for row in session.execute(statement, prepare=False).fetchall()
                )
    found["settings"] -= KEPT_BY_PGBOUNCER
    return {what: names for what, names in found.items() if names}


def manage(pooler: Pooler, *arguments: str) -> str:
    env = environment(**through(pooler, DB_POOL_MAX="0", LOG_DIR=""))
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.usefixtures("_timeouts_of_the_role")
def test_a_day_s_work(pooler, tmp_path):
    shops = [make_retailer() for _ in range(3)]
    offer = make_offer(stock=1000)
    due = advance(make_order(shops[0], offer, quantity=5), "DELIVERED")
    employee = make_user(Role.ADMIN, is_superuser=True)

    with site(tmp_path, **through(pooler, DB_POOL_MAX="8", WEB_THREADS="8")) as running:

        def order(number: int) -> int:
            answer = httpx.post(
                f"{running.url}/api/v1/orders/",
                json={
                    "vendor_id": offer.vendor_id,
                    "items": [{"product_id": offer.product_id, "quantity": 2}],
                    "payment_terms": "CREDIT",
                },
                headers={
                    **bearer(retailer_actor(shops[number % 3])),
                    "Idempotency-Key": f"key-{number}",
                },
                trust_env=False,
                timeout=30,
            )
            assert answer.status_code == 201, answer.text
            return int(answer.json()["id"])

        with ThreadPoolExecutor(8) as clients:
            placed = list(clients.map(order, range(ORDERS)))
            again = list(clients.map(order, range(ORDERS)))
        assert again == placed

        paid = httpx.post(
            f"{running.url}/api/v1/payments/",
            json={"retailer_id": shops[0].pk, "amount": "500.00", "method": "CASH"},
            headers={**bearer(vendor_actor(offer.vendor)), "Idempotency-Key": "paid"},
            trust_env=False,
            timeout=30,
        )
        assert paid.status_code == 201, paid.text
        listed = running.get("/api/v1/orders/?limit=50", headers=bearer(vendor_actor(offer.vendor)))
        assert listed.status_code == 200

        pages = ("orders/order/", f"orders/order/{due.pk}/change/", "database/connections/")
        with desk(running, employee) as browser:
            for page in pages:
                assert browser.get(f"/admin/{page}").status_code == 200, page

        manage(pooler, "run_jobs", "--drain")
        manage(pooler, "verify")
        manage(pooler, "sync_schedules")
        assert running.said("Traceback") == 0

    assert Order.objects.filter(pk__in=placed).count() == ORDERS
    assert set(Order.objects.filter(pk__in=placed).values_list("status", flat=True)) == {"PENDING"}
    assert Payment.objects.get().amount == Decimal("500.00")
    assert set(Job.objects.values_list("state", flat=True)) <= {JobState.DONE, JobState.QUEUED}
    assert not Job.objects.exclude(last_error="").exists()
    assert left_behind(pooler) == {}
    with pooler.connect() as asked:
        shown = [
            asked.execute(f"SHOW {name}").fetchone()[0]
            for name in (
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "timezone",
            )
        ]
    assert shown == ["30s", "3s", "15s", "UTC"]


def test_what_is_left_behind_would_be_seen(pooler):
    """The look at the sessions finds each kind of thing that transaction mode must not be given."""
    with pooler.connect(autocommit=True) as careless:
        for statement in (
            "PREPARE mine AS SELECT 1",
            "LISTEN shop",
            "SELECT pg_advisory_lock(7)",
            "CREATE TEMPORARY TABLE mine (id int)",
            "SET work_mem = '5MB'",
        ):
            careless.execute(statement)
    found = left_behind(pooler)
    assert set(found) == {
        "prepared statements",
        "channels",
        "advisory locks",
        "temporary tables",
        "settings",
    }
    assert found["settings"] == {"work_mem"}


def test_start_up_options_are_refused(pooler, tmp_path):
    """Why DB_PGBOUNCER turns them off."""
    env = {**through(pooler), "DB_PGBOUNCER": "false"}
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--check"],
        cwd=ROOT,
        env=environment(**env, LOG_DIR=""),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "unsupported startup parameter: options" in done.stderr


def test_role_timeouts_are_shown_before_they_are_set(capsys):
    with contextlib.suppress(SystemExit):
        call_command("set_role_timeouts", "--dry-run")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" SET ")[1] for line in lines] == [
        "statement_timeout = '30000ms';",
        "lock_timeout = '3000ms';",
        "idle_in_transaction_session_timeout = '15000ms';",
        "timezone = 'UTC';",
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase"
            " WHERE d.datname = current_database()"
        )
        assert cursor.fetchone() == (0,)


assert SESSIONS < 8  # fewer than the site's own pool: they are shared
