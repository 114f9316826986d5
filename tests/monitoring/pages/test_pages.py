"""Every page about the database: it answers with the right figures, to those who may see it."""

import re
from datetime import UTC, datetime

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from khaacho import sql
from monitoring.history import partitions, sampling
from monitoring.pages import framework, indexes, query, remedies, statement_rows
from monitoring.pages.framework import Panel, Window
from monitoring.templatetags import quantities
from tests.admin.conftest import signed_in
from tests.monitoring.history.sampling import DAY, HOUR, follow_indexes, make_index, now
from tests.monitoring.pages.reading import MENU, body, panels, troubles, url, words

FIGURES = {
    "total": lambda row: row.total_ms,
    "mean": lambda row: row.mean_ms,
    "rows": lambda row: round(row.rows_per_call * row.calls),
}
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])


@pytest.fixture
def probe():
    """A table of our own: its statements are new to the counters, whatever ran before."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS probe_part, probe")
        cursor.execute("CREATE TABLE probe (id int PRIMARY KEY, note text)")
        cursor.execute("INSERT INTO probe VALUES (100000, 'one')")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS probe_part, probe")


def run(statement: str, times: int = 1) -> None:
    for number in range(times):
        sql.fetch(statement.replace("%s", str(number)))


def queryid(statement: str) -> int:
    rows = sql.fetch(f"EXPLAIN (VERBOSE) {statement}")
    return int(next(row[0].split(": ")[1] for row in rows if row[0].startswith("Query Identifier")))


def of_utility(beginning: str) -> int:
    [(found,)] = sql.fetch(
        "SELECT DISTINCT queryid FROM pg_stat_statements WHERE query LIKE %s AND toplevel"
        " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [f"{beginning}%"],
    )
    return found


PLAIN = "SELECT note FROM probe WHERE id > 1"


@pytest.mark.parametrize("page", MENU, ids=lambda page: page.name)
def test_every_page_is_read_without_trouble(keeper, page):
    text = body(keeper, url(page.name))
    assert list(panels(text)) == [panel.name for panel in page.panels]
    wanted = [what for what, _ in troubles(text) if "without being built" not in what]  # HypoPG
    assert wanted == []


@pytest.mark.parametrize("page", MENU, ids=lambda page: page.name)
def test_only_those_with_the_permission_may_see_it(keeper, member, page):
    assert signed_in(member("Support")).get(url(page.name)).status_code == 403
    assert signed_in(member("Owner")).get(url(page.name)).status_code == 200
    asked = Client().get(url(page.name))
    assert (asked.status_code, asked["Location"].split("?")[0]) == (302, "/admin/login/")
    assert keeper.post(url(page.name)).status_code == 405


def test_statements_are_listed_with_their_figures(keeper, probe):
    """As slow as the fiftieth of what other tests have run in this database, or it would not be shown."""
    fiftieth = min(row.mean_ms for row in statement_rows.counted("mean")) / 1000
    seconds, figures = 0.12, r"3\d\d ms 1\d\d ms"
    if fiftieth > seconds:
        seconds, figures = fiftieth, r"[\d.]+ m?s [\d.]+ m?s"
    slow = f"SELECT note, pg_sleep({seconds}) FROM probe WHERE id > %s"
    run(slow, 3)
    text = body(keeper, url("statements", sort="mean"))
    link = f"statements/{queryid(slow.replace('%s', '1'))}/?range=24h"
    [row] = [each for each in re.findall(r"<tr>\s*<td>(.*?)</tr>", text, re.DOTALL) if link in each]
    assert re.search(
        rf"^SELECT note, pg_sleep\(\$1\) FROM probe WHERE id > \$2 .* {figures} slow .* m?s 3 1 ",
        words(row),
    )


@pytest.mark.parametrize(
    ("sort", "heavy"),
    [
        ("total", "SELECT pg_sleep(3), note FROM probe WHERE id > %s"),
        ("mean", "SELECT pg_sleep(3), note FROM probe WHERE id > %s"),
        ("rows", "SELECT generate_series(1, 900000), note FROM probe WHERE id > %s"),
    ],
)
def test_statements_are_sorted(keeper, probe, sort, heavy):
    run(heavy)
    run(PLAIN.replace("1", "%s"))
    text = body(keeper, url("statements", sort=sort))
    links = re.findall(r"statements/(-?\d+)/", text)
    assert str(queryid(heavy.replace("%s", "1"))) in links
    found = statement_rows.counted(sort, limit=500)
    figures = [FIGURES[sort](row) for row in found]
    assert figures == sorted(figures, reverse=True)
    places = {row.queryid: place for place, row in enumerate(found)}
    assert places.get(queryid(PLAIN), 500) > places[queryid(heavy.replace("%s", "1"))]
    assert f'href="?range=24h&amp;sort={sort}" aria-current="true"' in text


def test_statements_of_the_range_come_from_its_samples(keeper, probe):
    run("SELECT note FROM probe WHERE id > %s", 50)
    partitions.make_ahead()
    at = now()
    sampling.take(at - sampling.EVERY)
    run("SELECT note FROM probe WHERE id > %s", 3)
    sampling.take(at)
    text = body(keeper, url("statements", range="1h"))
    assert "Of the samples from" in text
    [row] = [
        words(row) for row in re.findall(r"<tr>(.*?)</tr>", text, re.DOTALL) if "FROM probe" in row
    ]
    assert re.search(r" ms 3 1 ", row)
    detail = panels(body(keeper, f"/admin/database/statements/{queryid(PLAIN)}/?range=1h"))
    assert "on average over 3 calls of this range" in words(detail["timeline"])
    assert detail["timeline"].count("<figure") == 3
    timeline = panels(body(keeper, url("overview", range="1h")))["timeline"]
    titles = ["Requests", "Database time", "Connections", "Queues", "Found in memory", "Size"]
    assert re.findall(r"<figcaption><strong>(.*?)</strong>", timeline) == titles


def test_a_query_shows_its_text_figures_tables_and_indexes(keeper, probe):
    # From PostgreSQL 18 a queryid is of a table's name, so that those of earlier tests' probes go on.
    before = sum(row["calls"] for row in statement_rows.of_users(queryid(PLAIN)))
    run("SELECT note FROM probe WHERE id > %s", 4)
    found = panels(body(keeper, f"/admin/database/statements/{queryid(PLAIN)}/"))
    assert "<code>SELECT note FROM probe WHERE id &gt; $1</code>" in found["statement"]
    assert re.search(rf"</th>\s*<td class=\"number\">{before + 4}</td>", found["statement"])
    assert "<h3>probe</h3>" in found["tables"]
    assert "probe_pkey" in found["tables"]
    assert "no samples" in found["timeline"]


def test_a_query_that_is_not_counted_says_so_and_no_number_is_not_found(keeper):
    assert "no statement 12345 among those it counts" in words(
        body(keeper, "/admin/database/statements/12345/")
    )
    for wrong in ("x", "1'", "99999999999999999999"):
        assert keeper.get(f"/admin/database/statements/{wrong}/").status_code == 404


def test_statements_are_escaped_and_secrets_masked(keeper, probe):
    harmful = (
        "SELECT pg_sleep(0.5), '<script>alert(1)</script>' AS \"<script>x</script>\" FROM probe"
    )
    run(harmful)
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE probe_role PASSWORD 'hunter2'")
        cursor.execute("ALTER ROLE probe_role PASSWORD 'hunter3'")
        cursor.execute("DROP ROLE probe_role")
    text = body(keeper, url("statements", sort="mean"))
    assert "&lt;script&gt;x&lt;/script&gt;" in text
    assert "<script>x" not in text
    for number in (
        of_utility("ALTER ROLE probe"),
        of_utility("CREATE ROLE probe"),
        queryid(harmful),
    ):
        text += body(keeper, f"/admin/database/statements/{number}/")
    assert "ALTER ROLE probe_role PASSWORD &#x27;***&#x27;" in text
    assert "hunter" not in text
    assert "<script>x" not in text


def test_indexes_that_are_of_no_use_come_with_what_to_paste(keeper, probe, monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX probe_note_a ON probe (note)")
        cursor.execute("CREATE INDEX probe_note_b ON probe (note)")
        cursor.execute('CREATE INDEX "Probe broken" ON probe (id, note)')
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"Probe broken\"'::regclass"
        )
    found = panels(body(keeper, url("indexes")))
    assert "DROP INDEX CONCURRENTLY IF EXISTS public.probe_note_b;" in found["twice"]
    assert "probe_note_a does the same" in words(found["twice"])
    assert "REINDEX INDEX CONCURRENTLY public.&quot;Probe broken&quot;;" in found["invalid"]
    assert "too early" in words(found["unused"])
    assert "DROP INDEX" not in found["unused"]  # however idle: nobody knows for long enough
    assert (
        f'{reverse("admin:monitoring_indexusage_changelist")}">All, with a search' in found["all"]
    )
    assert found["all"].count('<th scope="row">') == indexes.LIMIT
    monkeypatch.setattr(indexes, "LIMIT", 10_000)
    every = panels(body(keeper, url("indexes")))["all"]
    assert "All, with a search" not in every
    assert "primary key" in words(every[every.index("probe_pkey") :])
    overview = panels(body(keeper, url("overview")))
    twice = found["twice"].count("does the same")  # some of the trade's own among them
    assert f" {twice} there twice, 1 invalid" in words(overview["indexes"])
    assert 'class="badge bad"' in overview["indexes"]


def test_an_index_is_unused_after_14_days_of_samples(keeper, probe, monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX probe_note ON probe (note)")
    at = now()
    partitions.make(at - 16 * DAY, at)
    [(of_partition,)] = sql.fetch(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid"
        " WHERE c.relispartition AND NOT i.indisunique ORDER BY 1 LIMIT 1"
    )
    for half_days in range(31):
        for index in ("probe_note", "probe_pkey", of_partition):
            make_index(at - (31 - half_days) * 12 * HOUR + HOUR, index, 0)
    follow_indexes()
    found = panels(body(keeper, url("indexes")))["unused"]
    assert "DROP INDEX CONCURRENTLY IF EXISTS public.probe_note;" in found
    assert "probe_pkey" not in found
    assert re.search(r"No scan in \d\d samples since", words(found))
    assert words(panels(body(keeper, url("overview")))["indexes"]).endswith("0 invalid")
    monkeypatch.setattr(indexes, "UNUSED_LIMIT", 0)
    assert "The 0 largest of 1." in words(panels(body(keeper, url("indexes")))["unused"])
    assert " 1 unused" in words(panels(body(keeper, url("overview")))["indexes"])
    sql.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'probe_note'::regclass")
    of_page = panels(body(keeper, url("indexes")))
    assert ("DROP INDEX" in of_page["unused"], "probe_note" in of_page["invalid"]) == (False, True)
    assert re.search(
        r" 0 unused.* 1 invalid", words(panels(body(keeper, url("overview")))["indexes"])
    )


def test_foreign_keys_without_an_index_and_tables_read_in_whole(keeper, probe):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE probe_part (probe_id int REFERENCES probe, filler text)")
        cursor.execute(
            "INSERT INTO probe_part SELECT NULL, repeat('x', 500) FROM generate_series(1, 5000)"
        )
        cursor.execute("SELECT count(*) FROM probe_part")
        cursor.execute("SELECT pg_stat_force_next_flush()")
    found = panels(body(keeper, url("missing")))
    assert (
        "CREATE INDEX CONCURRENTLY probe_part_probe_id_idx ON public.probe_part (probe_id);"
        in found["foreign-keys"]
    )
    assert "on delete no action" in words(found["foreign-keys"])
    assert "probe_part no index at all" in words(found["pressure"])
    assert "hint" in found["pressure"]


def test_remedies_of_our_own_tables_are_lines_of_a_model_and_a_migration():
    added = remedies.add_index("public", "orders", ["vendor_id", "created_at"])
    assert (
        "models.Index(fields=['vendor', 'created_at'], name='orders_vendor_id_created_a_idx'),"
        in added
    )
    assert "operations = [AddIndexConcurrently('order', models.Index(" in added
    dropped = remedies.drop_index("public", "reports", "report_kind_idx")
    assert "RemoveIndexConcurrently('report', 'report_kind_idx')" in dropped
    assert "monitoring.Report.Meta.indexes" in dropped
    # an index that no model names, on a table that one does
    assert remedies.drop_index("public", "reports", "by_hand") == (
        "DROP INDEX CONCURRENTLY IF EXISTS public.by_hand;"
    )
    assert remedies.rebuild_index("public", "a_ccnew1").startswith("DROP INDEX")


def test_overview_counts_what_waits(keeper, probe, stranger):
    run("SELECT pg_sleep(0.15) FROM probe")  # others sleep without a table, and for less on average
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (queue, kind, args, reference, state, finished_at)"
            " SELECT 'reports', 'k', '{}', '', s, CASE WHEN s = 'dead' THEN now() END"
            " FROM unnest(ARRAY['dead', 'dead', 'queued', 'queued', 'queued']) AS s"
        )
    stranger.execute("SELECT 1 FROM probe")
    stranger.execute("SELECT pg_current_xact_id()")
    found = {name: words(part) for name, part in panels(body(keeper, url("overview"))).items()}
    assert re.search(r"\d slow statements? over 100 ms on average", found["statements"])
    assert "3 jobs wait 2 dead jobs" in found["jobs"]
    assert re.search(r"\d connections", found["connections"])
    assert f"session {stranger.info.backend_pid}" in found["transaction"]
    # tests of other databases on this server may have some
    assert re.search("0 blocked sessions nobody waits|[1-9] blocked sessions? ", found["blocked"])
    assert "of the transaction ids used far away" in found["wraparound"]
    assert "answers" in found["redis"]


def test_each_figure_leads_to_its_cause(keeper):
    found = panels(body(keeper, url("overview", range="7d")))
    assert 'href="/admin/database/statements/?range=7d"' in found["statements"]
    assert 'href="/admin/database/indexes/?range=7d"' in found["indexes"]
    assert 'href="/admin/queues/?range=7d"' in found["jobs"]


def test_the_range_is_kept_from_page_to_page(keeper):
    text = body(keeper, url("statements", range="6h", sort="calls"))
    for page in MENU:
        assert f'href="{url(page.name)}?range=6h"' in text
    assert '<a href="?range=7d&amp;sort=calls">7d</a>' in text
    assert '<a href="?range=6h&amp;sort=calls" aria-current="true">6h</a>' in text
    assert 'href="?range=6h&amp;sort=mean"' in text
    assert 'aria-current="true">24h</a>' in body(keeper, url("statements", range="9y"))


def statements_of(client: Client, path: str) -> int:
    connections["monitor"].ensure_connection()
    with (
        CaptureQueriesContext(connection) as ours,
        CaptureQueriesContext(connections["monitor"]) as theirs,
    ):
        body(client, path)
    return len(ours) + len(theirs)


@pytest.mark.parametrize("name", [page.name for page in MENU] + ["query"])
def test_a_page_runs_the_same_statements_whatever_there_is(keeper, probe, name):
    run("SELECT note FROM probe WHERE id > %s")
    path = url(name) if name != "query" else f"/admin/database/statements/{queryid(PLAIN)}/"
    body(keeper, path)  # what the side bar counts is kept for a minute
    few = statements_of(keeper, path)
    with connection.cursor() as cursor:
        for number in range(20):
            cursor.execute(f"CREATE INDEX probe_note_{number} ON probe (note, id)")
            cursor.execute(f"SELECT note AS note_{number}, {number} FROM probe")
    assert statements_of(keeper, path) == few
    assert few <= 80


def test_a_panel_may_be_read_alone(keeper):
    assert list(panels(body(keeper, url("indexes", panel="twice")))) == ["twice"]
    assert len(panels(body(keeper, url("indexes", panel="nonsense")))) == 4


def test_one_panel_with_a_fault_leaves_the_others(rf, caplog):
    def fail(window: Window) -> dict[str, object]:
        raise KeyError("fault")

    def good(window: Window) -> dict[str, object]:
        return {"lacking": []}

    template = "monitoring/pages/capabilities.html"
    shown = list(
        framework.read_panels(
            rf.get("/"),
            [
                Panel(name="a", title="A", read=fail, template=template),
                Panel(name="b", title="B", read=good, template=template),
                Panel(name="c", title="C", read=good, template="monitoring/pages/none.html"),
            ],
            framework.window_of(rf.get("/")),
        )
    )
    assert [each.html is not None for each in shown] == [False, True, False]
    assert "has a fault" in shown[0].trouble.what
    assert [record.panel for record in caplog.records] == ["a", "c"]
    assert caplog.records[0].exc_info


def test_tables_are_found_in_a_statement():
    text = (
        'SELECT "a"."x" FROM "orders" a INNER JOIN public."retailers" r ON (a.b = r.id)'
        " WHERE EXISTS (SELECT 1 FROM ONLY jobs)"
    )
    assert query.tables_in(text)[:2] == ["orders", "retailers"]
    assert "jobs" in query.tables_in(text)
    assert query.tables_in('INSERT INTO "users" ("a") VALUES ($1)') == ["users"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (quantities.size(0), "0 B"),
        (quantities.size(1023), "1023 B"),
        (quantities.size(1536), "1.5 kB"),
        (quantities.size(-3 * 1024**3), "-3.0 GB"),
        (quantities.size(None), "–"),
        (quantities.milliseconds(0.034), "0.03 ms"),
        (quantities.milliseconds(12.4), "12 ms"),
        (quantities.milliseconds(1500), "1.5 s"),
        (quantities.milliseconds(369_000), "6 min 9 s"),
        (quantities.seconds(0.44), "0.4 s"),
        (quantities.seconds(90_000), "1 d 1 h"),
        (quantities.count(1234567), "12,34,567"),
        (quantities.count(2.5), "2.50"),
        (quantities.percent(99.84), "99.8 %"),
        (quantities.moment(None), "–"),
        (
            quantities.moment(datetime(2026, 11, 27, 20, 30, 5, tzinfo=UTC)),
            '<time datetime="2026-11-28T02:15:05+05:45">2026-11-28 02:15</time>',
        ),
        (quantities.shortened("SELECT 1\n  /* GET x */ FROM t"), "SELECT 1 FROM t"),
        (quantities.shortened("x" * 200), "x" * 159 + "…"),
    ],
)
def test_quantities_are_for_people(said, expected):
    assert said == expected
