"""In a real browser: a session that blocks is cancelled, a table is analyzed, by pressing buttons."""

import re

import pytest
from django.db import connection
from playwright.sync_api import expect

from khaacho import jobs, sql
from khaacho.models import AuditLog, User
from monitoring.maintenance.runs import MaintenanceRun
from tests.admin.browser import chromium, keep
from tests.admin.test_browser import officer, sign_in  # noqa: F401 - a fixture
from tests.admin.test_queue_board_browser import faults_of
from tests.monitoring.sessions import chain

pytestmark = [
    pytest.mark.processes,
    pytest.mark.patient,
    pytest.mark.django_db(transaction=True, databases=["default", "monitor"]),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SIZES = ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"))


def look_at(page, name):
    """Take pictures, wide and narrow, light and dark; nothing may be scrolled to sideways."""
    for width, scheme in SIZES:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        keep(page, f"{name}-{width}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")


def test_cancels_who_blocks_and_analyzes_a_table(live_server, officer: User):  # noqa: F811
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO job_minutes (queue, minute, counted_until, done, deduplicated, stalled,"
            " waits, runs) SELECT 'reports', now() - n * interval '1 min', now(), 1, 0, 0, '{}', '{}'"
            " FROM generate_series(1, 20000) n"
        )
        cursor.execute("UPDATE job_minutes SET done = 2 WHERE mod(id, 3) = 0")
        cursor.execute("SELECT pg_stat_force_next_flush()")
    names = ("khaacho import", "gunicorn 1", "celery reports", "psql")
    with (
        chain(*names, root_runs="SELECT pg_sleep(25) /*task='imports.products'*/") as links,
        chromium(live_server.url) as page,
    ):
        root = links[0]
        faults = faults_of(page)
        sign_in(page, live_server.url, officer)
        page.goto(f"{live_server.url}/admin/database/connections/")
        look_at(page, "connections")
        expect(page.locator("#panel-blocking")).to_contain_text(re.compile(r"\d sessions wait"))
        expect(page.locator("#panel-blocking")).to_contain_text("task imports.products")
        page.get_by_role("button", name=f"Cancel {root.pid}").first.click()
        expect(page.locator(".given")).to_contain_text(f"sessions {links[1].pid}")
        page.get_by_label("Reason").fill("It blocks the orders.")
        look_at(page, "connections-cancel")
        page.get_by_role("button", name="Cancel its statement").click()
        expect(page.locator(".messagelist")).to_contain_text("was stopped; the session lives on")
        assert root.join() == "QueryCanceled"
        assert links[1].join() == "ok"
        keep(page, "connections-cancelled")

        page.get_by_label("Pages about the database").get_by_role(
            "link", name="Tables and bloat"
        ).click()
        page.wait_for_url("**/database/tables/*")
        look_at(page, "tables")
        row = page.locator("tr", has=page.get_by_role("rowheader", name="job_minutes"))
        row.get_by_text("Maintain", exact=True).click()
        keep(page, "tables-open")
        row.get_by_role("button", name="ANALYZE").click()
        page.wait_for_url("**/database/maintenance/start/*")
        look_at(page, "maintenance-start")
        page.get_by_role("button", name="Start").click()
        expect(page.locator(".messagelist")).to_contain_text("ANALYZE job_minutes begins")
        keep(page, "maintenance-queued")
        jobs.run(MaintenanceRun.objects.get().job_id)
        page.reload()
        expect(page.locator("#panel-history")).to_contain_text("ANALYZE job_minutes")
        look_at(page, "maintenance")
        page.get_by_role("link", name="ANALYZE job_minutes").click()
        expect(page.locator("#panel-run")).to_contain_text("20000 live rows")
        look_at(page, "maintenance-run")
        for name in ("pool", "space"):
            page.goto(f"{live_server.url}/admin/database/{name}/")
            look_at(page, name)
        assert faults == []
    assert sql.fetch("SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'job_minutes'") == [
        (True,)
    ]
    assert list(
        AuditLog.objects.filter(entity_type__in=["session", "maintenance"])
        .order_by("id")
        .values_list("action", flat=True)
    ) == ["session.cancelled", "maintenance.requested"]
