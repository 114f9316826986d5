"""Web processes end and are replaced without a failed request, and say so when the database has no room."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from django.db import connection

from khaacho.enums import Role
from tests.api.clients import PROBLEM
from tests.factories import make_actor, make_retailer, make_user, retailer_actor
from tests.processes import children, environment, wait_for
from tests.serving.sites import Site, bearer, desk, site

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

PRODUCTION = "deploy/gunicorn.conf.py"
CLIENTS = 6


class Load:
    """Clients that ask without a pause on connections that they keep; every failure is written down."""

    def __init__(self, site: Site, headers: dict[str, str]) -> None:
        self.site, self.headers = site, headers
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self.closed = 0  # by the server, after its answer
        self._over = threading.Event()

    def _ask(self) -> None:
        # One connection, and no second attempt: a connection that is closed under a request is a failure.
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        with httpx.Client(
            trust_env=False, timeout=20, limits=limits, headers=self.headers
        ) as client:
            while not self._over.is_set():
                try:
                    answer = client.get(f"{self.site.url}/api/v1/orders/?limit=1")
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                    continue
                self.answers[answer.status_code] += 1
                self.closed += answer.headers.get("connection") == "close"

    @contextmanager
    def going_on(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: self.answers[200] > 2 * CLIENTS, seconds=30, what="the load")
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def settle(self) -> None:
        """Return when as many more requests as before are answered."""
        enough = self.answers[200] + 10 * CLIENTS
        wait_for(lambda: self.answers[200] > enough, seconds=30, what="more answers")


@pytest.fixture
def shop():
    return make_retailer()


def sessions(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = %s",
            [name],
        )
        return int(cursor.fetchone()[0])


def test_workers_are_replaced_under_load_without_a_failed_request(shop, tmp_path):
    """kill -HUP, twice: new workers first, then the old ones finish what they have."""
    headers = bearer(retailer_actor(shop))
    with site(tmp_path, conf=PRODUCTION, WEB_CONCURRENCY="2", DB_POOL_MAX="8") as running:
        load = Load(running, headers)
        with load.going_on():
            seen = [set(children(running.process.pid))]
            for _ in range(2):
                running.signal(signal.SIGHUP)
                wait_for(
                    lambda: not set(children(running.process.pid)) & seen[-1],
                    seconds=30,
                    what="new workers",
                )
                load.settle()
                seen.append(set(children(running.process.pid)))
        assert load.failures == []
        assert set(load.answers) == {200}
        assert load.closed > 0  # the old workers let go of connections that were kept
        assert len(set.union(*seen)) == 6


def test_a_worker_ends_at_its_last_request_without_a_connection_that_somebody_keeps(shop, tmp_path):
    headers = bearer(retailer_actor(shop))
    last = "--max-requests 400 --max-requests-jitter 0"
    with site(tmp_path, conf=PRODUCTION, GUNICORN_CMD_ARGS=last, DB_POOL_MAX="8") as running:
        with httpx.Client(trust_env=False, headers=headers, timeout=20) as client:
            closed = [
                client.get(f"{running.url}/livez").headers["connection"] == "close"
                for _ in range(390)
            ]
        first = closed.index(True)  # a few were asked while it started
        assert 360 <= first <= 380
        assert all(closed[first:])
        load = Load(running, headers)
        with load.going_on():
            wait_for(
                lambda: running.said("Autorestarting") >= 2, seconds=60, what="two generations"
            )
            load.settle()
        assert load.failures == []
        assert set(load.answers) == {200}


@pytest.fixture
def held(db) -> Iterator[psycopg.Connection]:
    """A lock on which every list of orders waits, until it is given back."""
    with psycopg.connect(environment()["DATABASE_URL"]) as other:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        yield other


def slow_answer(running: Site, headers: dict[str, str]) -> tuple[threading.Thread, list[int]]:
    answers: list[int] = []
    path = "/api/v1/orders/?limit=1"

    def ask() -> None:
        answers.append(running.get(path, headers=headers).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, answers


def waits() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
        return int(cursor.fetchone()[0])


def test_the_end_is_announced_then_requests_finish_and_the_pool_is_closed(shop, held, tmp_path):
    headers = bearer(retailer_actor(shop))
    told = {"PGAPPNAME": "web that ends", "DB_LOCK_TIMEOUT": "60000", "WEB_DRAIN_SECONDS": "2"}
    with site(tmp_path, conf=PRODUCTION, DB_POOL_MAX="4", **told) as running:
        assert running.get("/readyz").json()["status"] == "ready"
        thread, answers = slow_answer(running, headers)
        wait_for(lambda: waits() == 1, what="a request that waits")
        begun = time.monotonic()
        running.signal(signal.SIGTERM)
        wait_for(lambda: running.get("/readyz").status_code == 503, what="not ready")
        answer = running.get("/readyz")
        assert answer.json()["failures"] == ["draining"]
        assert answer.headers["connection"] == "close"
        ours = running.get("/api/v1/products/", headers=headers)  # served all the same
        assert (ours.status_code, ours.headers["connection"]) == (200, "close")
        wait_for(lambda: not running.is_up(), what="connections are refused")
        assert 2 <= time.monotonic() - begun < 15
        assert running.process.poll() is None  # it waits for its request
        assert answers == []
        time.sleep(1)
        held.rollback()
        thread.join(20)
        assert answers == [200]
        assert running.process.wait(20) == 0
        assert sessions("web that ends") == 0
        assert running.said("Traceback") == 0


def test_a_second_sigterm_does_not_wait(shop, tmp_path):
    with site(tmp_path, conf=PRODUCTION, WEB_DRAIN_SECONDS="600") as running:
        running.signal(signal.SIGTERM)
        wait_for(lambda: running.get("/readyz").status_code == 503, what="not ready")
        running.signal(signal.SIGTERM)
        assert running.process.wait(20) == 0


def test_an_exhausted_pool_is_a_503_and_monitoring_answers(shop, held, tmp_path):
    """The pool's two connections wait for a lock; whoever comes now is told when to come back."""
    employee = make_user(Role.ADMIN, is_superuser=True)
    headers = bearer(retailer_actor(shop))
    told = {"DB_POOL_MAX": "2", "DB_CONNECTION_TIMEOUT": "700", "DB_LOCK_TIMEOUT": "60000"}
    with site(tmp_path, WEB_THREADS="8", **told) as running, desk(running, employee) as browser:
        assert browser.get("/admin/database/").status_code == 200
        asked = [slow_answer(running, headers) for _ in range(2)]
        wait_for(lambda: waits() == 2, what="two requests that wait")

        refused = running.get("/api/v1/payments/", headers=headers)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        assert refused.headers["content-type"] == PROBLEM
        assert refused.json()["code"] == "database_unavailable"

        page = browser.get("/admin/credit/retailer/")
        assert page.status_code == 503
        assert page.headers["retry-after"] == "5"
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert "Please try again in 5 s" in page.text
        in_nepali = browser.get("/admin/credit/retailer/", headers={"Accept-Language": "ne"})
        assert "साइट व्यस्त छ" in in_nepali.text

        assert running.get("/livez").status_code == 200
        assert running.get("/readyz").json()["failures"] == ["database"]
        for place in ("", "connections/", "pool/"):
            assert browser.get(f"/admin/database/{place}").status_code == 200, place
        assert 1 <= sessions("khaacho monitor") <= 8  # kept, and never more than threads
        pool = running.get("/api/v1/monitoring/pool", headers=bearer(make_actor(Role.ADMIN)))
        assert pool.status_code == 200

        held.rollback()
        for thread, answers in asked:
            thread.join(20)
            assert answers == [200]
        assert browser.get("/admin/credit/retailer/").status_code == 200
        assert running.get("/api/v1/payments/", headers=headers).status_code == 200


def test_a_fault_of_ours_stays_a_500(shop, tmp_path):
    """Not everything that the database refuses passes by itself."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payments RENAME COLUMN reference TO another")
    try:
        with site(tmp_path) as running:
            with desk(running, make_user(Role.ADMIN, is_superuser=True)) as browser:
                answer = browser.get("/admin/payments/payment/")
            assert (answer.status_code, "retry-after" in answer.headers) == (500, False)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE payments RENAME COLUMN another TO reference")
