"""Never a dead page: whatever is missing, each page answers, says so in words, and prints what mends it."""

from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connection, connections
from django.test import override_settings

from monitoring.database import access
from monitoring.pages import framework
from monitoring.pages.framework import MonitoringPage, Panel
from tests.monitoring.pages.reading import MENU, body, panels, troubles, url
from tests.processes import free_port

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

every_page = pytest.mark.parametrize("page", MENU, ids=lambda page: page.name)
OF_STATEMENTS = {"overview": {"statements"}, "statements": {"top"}}
OF_REDIS = {"overview": {"redis"}, "pool": {"together", "processes", "room"}}
WITHOUT_VIEWS = {
    "pool",
    "routes",
    "releases",
    "backups",
}  # which read tables of ours, Redis and settings


def of_the_database(page: MonitoringPage) -> set[str]:
    return {panel.name for panel in page.panels if panel.of_monitor}


def read(client, page) -> dict[str, list[tuple[str, str]]]:
    """Return what each panel of the page says is wrong; those of which all is well are left out."""
    found = panels(body(client, url(page.name)))
    assert list(found) == [panel.name for panel in page.panels]
    return {name: said for name, part in found.items() if (said := troubles(part))}


@every_page
def test_without_the_extension_only_what_needs_it_is_missing(keeper, no_statistics, page):
    found = read(keeper, page)
    assert set(found) == OF_STATEMENTS.get(page.name, set())
    for said in found.values():
        [(what, fix)] = said
        assert what == "Lacking: the extension is created in this database."
        assert fix.startswith("CREATE EXTENSION pg_stat_statements;")


def test_a_query_says_that_the_extension_is_missing(keeper, no_statistics):
    found = panels(body(keeper, "/admin/database/statements/1/"))
    for name in ("statement", "tables"):
        assert troubles(found[name])[0][1].startswith("CREATE EXTENSION pg_stat_statements;")


@contextmanager
def coming_as(monitor_settings, kind, options=""):
    """Let the monitoring come as a role made for it; its name is of this database alone, since roles are the server's."""
    name = f"{kind}_of_{connection.settings_dict['NAME']}"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP ROLE IF EXISTS {name}")
        cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x' {options}")
    monitor_settings.update(USER=name, PASSWORD="x")
    try:
        yield name
    finally:
        connections["monitor"].close()
        with connection.cursor() as cursor:
            cursor.execute(f"DROP ROLE {name}")


@pytest.fixture
def nobody(monitor_settings):
    """Let the monitoring come as a role that was granted nothing, and return its name."""
    with coming_as(monitor_settings, "nobody") as name:
        yield name


@every_page
def test_without_rights_each_panel_says_which_to_grant(keeper, nobody, page):
    found = read(keeper, page)
    granted = {"redis", "cache", "start", "room"}  # which everybody may read
    assert set(found) == of_the_database(page) - granted
    for said in found.values():
        assert ("may not read this" in said[0][0]) or "Lacking" in said[0][0]
        assert f'GRANT pg_monitor TO "{nobody}";' in said[0][1]
        assert "GRANT USAGE ON SCHEMA public, monitor" in said[0][1]


@every_page
def test_tables_that_are_locked_keep_no_page_waiting(keeper, stranger, page):
    """Sizes and definitions wait for ACCESS EXCLUSIVE; the views do not ask for those of such a table."""
    for table in ("orders", "retailers", "vendors"):
        stranger.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    assert read(keeper, page) == {}


def test_what_a_panel_itself_reads_may_be_locked(keeper, stranger, hurried):
    stranger.execute("LOCK TABLE jobs, samples IN ACCESS EXCLUSIVE MODE")
    found = panels(body(keeper, url("overview")))
    # and on a busy machine those for which waiting for the locks left no time
    assert {name for name, part in found.items() if troubles(part)} >= {"jobs", "timeline"}
    for name in ("jobs", "timeline"):  # by itself, with time to wait for the lock twice
        assert f'href="?panel={name}"' in found[name]
        alone = panels(body(keeper, f"{url('overview')}?panel={name}"))
        [(what, fix)] = troubles(alone[name])
        assert what.startswith("What it reads is locked by somebody else.")
        assert fix == "SELECT * FROM monitor.blocking_tree;"


@every_page
def test_with_the_database_unreachable_each_panel_says_so(keeper, monitor_settings, page):
    monitor_settings.update(HOST="127.0.0.1", PORT=str(free_port()))
    found = read(keeper, page)
    assert set(found) == of_the_database(page)
    for said in found.values():
        assert said[0][0].startswith("The database cannot be reached")
        assert "MONITOR_DATABASE_URL" in said[0][1]


def test_an_unreachable_database_is_tried_once_for_a_page(keeper, monitor_settings, caplog):
    monitor_settings.update(HOST="127.0.0.1", PORT=str(free_port()))
    body(keeper, url("overview"))
    tried = [r for r in caplog.records if r.getMessage() == "monitoring_panel_unread"]
    assert [record.panel for record in tried] == ["capabilities"]


@every_page
def test_a_full_server_is_said(keeper, monitor_settings, page):
    """As PostgreSQL does it: a role with no connection left is told the same as when all are taken."""
    with coming_as(monitor_settings, "crowded", "CONNECTION LIMIT 0"):
        found = read(keeper, page)
    assert set(found) == of_the_database(page)
    assert all("takes no further connection" in said[0][0] for said in found.values())
    assert all("pg_terminate_backend" in said[0][1] for said in found.values())


@every_page
def test_with_redis_down_only_its_own_card_says_so(keeper, page):
    port = free_port()
    url_ = f"redis://127.0.0.1:{port}/0"
    cache = settings.CACHES["default"] | {"LOCATION": url_}
    with override_settings(REDIS_URL=url_, CACHE_URL=url_, CACHES={"default": cache}):
        found = read(keeper, page)
    assert set(found) == OF_REDIS.get(page.name, set())
    for [(what, fix)] in found.values():
        assert what.startswith("Redis does not answer.")
        assert fix == f"redis-cli -h 127.0.0.1 -p {port} ping"


@every_page
def test_without_its_views_a_page_says_how_to_make_them(keeper, page):
    with connection.cursor() as cursor:
        cursor.execute("ALTER SCHEMA monitor RENAME TO monitor_away")
        cursor.execute("ALTER VIEW index_usage_stats RENAME TO index_usage_away")
    try:
        found = read(keeper, page)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER VIEW index_usage_away RENAME TO index_usage_stats")
            cursor.execute("ALTER SCHEMA monitor_away RENAME TO monitor")
    assert bool(found) == (page.name not in WITHOUT_VIEWS)
    for said in found.values():
        assert said[0][1] == "python manage.py migrate monitoring"


def test_a_slow_panel_is_cut_off_and_the_rest_is_left_for_a_look_of_its_own(rf, monkeypatch):
    """As many panels as a page has time for; with room for what a busy machine takes between them."""
    monkeypatch.setattr(framework, "PANEL_MS", 400)
    monkeypatch.setattr(framework, "PAGE_MS", 1_150)

    def sleep(window):
        return {"lacking": access.fetch("SELECT pg_sleep(20)", timeout_ms=10_000)}

    template = "monitoring/pages/capabilities.html"
    slow = [
        Panel(name=name, title=name, read=sleep, template=template) for name in ("a", "b", "c", "d")
    ]
    shown = list(framework.read_panels(rf.get("/"), slow, framework.window_of(rf.get("/"))))
    assert [each.trouble.what.split(".")[0].split(":")[0] for each in shown] == [
        *["It took longer than a panel may"] * 3,
        "Left out",
    ]
    assert [each.alone_url for each in shown] == [f"?panel={name}" for name in ("a", "b", "c", "d")]
    assert access.fetch("SELECT 1") == [(1,)]
