"""The pages in a real browser, under the site's policy: with a day of samples, wide and narrow, light and dark."""

import math
import random
from datetime import datetime

import pytest
from django.db import connection, connections
from django.urls import reverse

from khaacho import sql
from khaacho.models import User
from monitoring.history import partitions
from monitoring.history.models import ReleaseMarker
from monitoring.maintenance.kinds import MaintenanceKind, MaintenanceState
from monitoring.models import JobMinute, MaintenanceRun
from monitoring.sources.models import OriginSpan
from tests.admin.browser import chromium, keep
from tests.admin.test_browser import officer, sign_in  # noqa: F401 - fixtures
from tests.admin.test_crawl import NARROW, WIDE, barriers, faults_of, overflow
from tests.monitoring.history.sampling import (
    DAY,
    MINUTE,
    make_database,
    make_sample,
    make_statement,
    make_text,
    now,
)
from tests.monitoring.pages.reading import MENU, PAGES

LOOKS = (("light", WIDE), ("dark", NARROW))  # widths do not depend on colours

pytestmark = [
    pytest.mark.processes,
    pytest.mark.long,
    pytest.mark.patient,
    pytest.mark.django_db(transaction=True, databases=["default", "monitor"]),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

LONG = "SELECT o.id, o.order_number, r.code FROM orders o JOIN retailers r ON r.id = o.retailer_id"


def make_work(since: datetime, busy: float) -> None:
    """Let requests end and jobs be done in the five minutes from then on."""
    for outcome, ended in (("2xx", round(900 * busy)), ("5xx", round(3 * busy))):
        OriginSpan.objects.create(
            since=since,
            kind="route",
            name="orders",
            method="GET",
            outcome=outcome,
            ended=ended,
            microseconds=ended * 12_000,
            statements=ended * 4,
            database_microseconds=ended * 5_000,
            buckets={"80": ended},
        )
    JobMinute.objects.create(
        queue="orders",
        minute=since.replace(second=0, microsecond=0),
        counted_until=since,
        done=round(40 * busy),
        deduplicated=0,
        stalled=0,
        waits={},
        runs={},
    )


@pytest.fixture
def day_of_samples(officer: User) -> int:  # noqa: F811 - the fixture
    """Fill a day with samples, two hours of it missing, and count a few statements; return one's queryid."""
    chance = random.Random(7)
    for _ in range(3):
        sql.fetch(
            f"{LONG} WHERE o.created_at > now() - interval '1 day' ORDER BY o.created_at DESC"
        )
    sql.fetch("SELECT pg_sleep(0.12)")
    [(found,)] = sql.fetch(
        "SELECT queryid FROM monitor.statements(true) WHERE query LIKE %s LIMIT 1", [f"{LONG}%"]
    )
    until = now()
    partitions.make(until - 2 * DAY, until)
    commits = 0
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX order_twice ON orders (created_at DESC, id DESC)")
        cursor.execute("CREATE INDEX order_twice_again ON orders (created_at DESC, id DESC)")
    for step in range(288):
        at = until - DAY + (step + 1) * 5 * MINUTE
        if 100 <= step < 124:
            continue
        busy = 2 + math.sin(step / 40) + chance.random()
        commits += int(9000 * busy)
        calls = int(4000 * busy)
        make_sample(at, at - 5 * MINUTE, calls=calls * 3, exec_ms=60_000 * busy)
        make_statement(at, found, calls, 4 + busy, 2, rows=calls * 20, hit=calls * 40, read=calls)
        make_database(
            at,
            xact_commit=commits,
            blocks_hit=commits * 50,
            blocks_read=commits,
            active=round(busy),
            idle=12,
            bytes=10**9 + step * 10**6,
        )
        make_work(at - 5 * MINUTE, busy)
    make_text(found, LONG, until - DAY)
    ReleaseMarker.objects.create(name="2026.11", released_at=until - DAY / 3)
    yield found
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX order_twice, order_twice_again")
    connections["monitor"].close()


def test_pages_are_quiet_and_open_to_all(live_server, officer: User, day_of_samples: int):  # noqa: F811
    addresses = {page.name: f"/admin/database/{page.path}" for page in MENU}
    addresses["query"] = f"/admin/database/statements/{day_of_samples}/"
    run = MaintenanceRun.objects.create(
        kind=MaintenanceKind.ANALYZE,
        target="orders",
        state=MaintenanceState.DONE,
        finished_at=now(),
    )
    addresses["run"] = reverse("database-maintenance-run", args=[run.pk])
    assert len(addresses) == len(PAGES)
    troubles: list[str] = []
    with chromium(live_server.url) as page:
        faults = faults_of(page)
        sign_in(page, live_server.url, officer)
        for name, address in addresses.items():
            answer = page.goto(f"{live_server.url}{address}")
            assert answer is not None
            assert answer.status == 200, address
            assert answer.headers["content-security-policy"].startswith("default-src 'self';")
            for scheme, width in LOOKS:
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({"width": width, "height": 900})
                page.wait_for_timeout(250)  # colours change in 150 ms
                keep(page, f"database-{name}-{width}-{scheme}")
                if over := overflow(page):
                    troubles.append(f"{address}: {over} px too wide at {width}")
                troubles += barriers(page, side=name == "overview")
            page.set_viewport_size({"width": WIDE, "height": 900})
        page.goto(f"{live_server.url}/admin/")
        page.get_by_role("link", name="Slow queries").first.click()
        page.get_by_role("link", name="7d").click()
        page.get_by_role("link", name="Index usage").last.click()
        assert page.url.endswith("/admin/database/indexes/?range=7d")
    assert not troubles, "\n".join(troubles)
    assert not faults, "\n".join(faults)
