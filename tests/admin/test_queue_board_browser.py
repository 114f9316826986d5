"""The queue board in a real browser: it renews itself, keeps the focus, pauses and resumes."""

import pytest
from django.db import connection
from playwright.sync_api import ConsoleMessage, Page, expect

from khaacho.enums import Queue
from khaacho.jobs.nodes import BEAT, SWEEP, Node
from khaacho.models import AuditLog, User
from monitoring import job_minutes
from tests.admin.browser import chromium, keep
from tests.admin.test_browser import (  # noqa: F401 - fixtures
    _statistics_put_back,
    officer,
    sign_in,
)

pytestmark = [
    pytest.mark.processes,
    pytest.mark.patient,
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RENEWED = 20_000  # ms; it does so every five seconds
POLICY = "default-src 'self'; frame-ancestors 'none'"


def all_report() -> None:
    """Let a worker of each queue, beat and the sweep say that they live: half a minute later they are missed."""
    for number, queue in enumerate(Queue):
        Node(f"{queue.value}@worker-{number}", [queue.value], 2).report(is_new=True)
    for name in (BEAT, SWEEP):
        Node(name).report(is_new=True)


def a_busy_afternoon(waiting: int) -> None:
    """Fill three hours with jobs that were done, and let others wait, run, fail and die."""
    all_report()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (queue, kind, args, reference, state, run_after, started_at, finished_at,"
            " coalesced) SELECT q, 'orders.route', '{}', 'order:' || n, 'done', t - interval '2 s' * u,"
            " t - interval '1 s' * u, t, mod(n, 3) FROM (SELECT n, q, now() - (n + 5 * sin(n)) *"
            " interval '15 s' AS t, 0.2 + mod(n, 7) AS u FROM generate_series(6, 720) AS n,"
            " unnest(%s::text[]) WITH ORDINALITY AS q (q, place) WHERE mod(n, place) = 0) AS done",
            [Queue.values],
        )
        cursor.execute(
            "INSERT INTO jobs (queue, kind, args, reference, run_after, attempts) SELECT"
            " (ARRAY['whatsapp', 'whatsapp', 'order_routing', 'reports'])[1 + mod(n, 4)],"
            " 'whatsapp.send', '{}', 'order:' || n, now() + CASE WHEN mod(n, 97) = 0 THEN interval"
            " '1 hour' ELSE -interval '5 min' END, mod(n, 2) FROM generate_series(1, %s) AS n",
            [waiting],
        )
        cursor.execute(
            "INSERT INTO jobs (queue, kind, args, reference, state, finished_at, failed_at, lease_until, last_error)"
            " SELECT 'whatsapp', 'whatsapp.send', '{}', '', s, now(), now(), now() + interval '1 min',"
            " 'Traceback' FROM unnest(ARRAY['dead', 'dead', 'running', 'running', 'running']) AS s"
        )
        cursor.execute("ANALYZE jobs")
    job_minutes.count()


def faults_of(page: Page) -> list[str]:
    """Collect what the browser complains of; the site has no icon, and pages do not ask for one."""
    faults: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.location["url"].endswith("/favicon.ico"):
            faults.append(f"{message.text} {message.location['url']}")

    page.on("console", hear)
    page.on("pageerror", lambda error: faults.append(str(error)))
    return faults


def count_of(page: Page, figure: str) -> str:
    return page.locator(figure).inner_text()


@pytest.mark.usefixtures("_statistics_put_back")
def test_pauses_a_queue_and_resumes_it(live_server, officer: User):  # noqa: F811
    a_busy_afternoon(100_000)
    with chromium(live_server.url) as page:
        faults = faults_of(page)
        sign_in(page, live_server.url, officer)
        page.get_by_role("link", name="Queue board").first.click()
        expect(page.get_by_role("heading", name="WhatsApp")).to_be_visible()
        for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            keep(page, f"board-{width}-{scheme}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(color_scheme="light")
        page.get_by_role("button", name="Pause WhatsApp").click()
        expect(page.locator(".facts")).to_contain_text("Waiting: 49,485.")
        keep(page, "board-pause")
        page.get_by_label("Reason").fill("Meta answers with errors.")
        page.get_by_role("button", name="Pause").click()
        expect(page.locator(".messagelist")).to_contain_text("WhatsApp is paused")
        card = page.locator("section.card", has=page.locator("#queue-whatsapp"))
        expect(card).to_contain_text("Meta answers with errors.")
        expect(page.locator(".board-warnings")).to_contain_text(f"paused by {officer.name}")
        keep(page, "board-paused")
        card.get_by_role("button", name="Resume").click()
        expect(page.locator(".facts")).to_be_visible()
        all_report()  # filling and looking may have taken half a minute
        page.get_by_role("button", name="Resume").click()
        expect(page.locator(".board-warnings")).to_have_count(0, timeout=RENEWED)
        page.locator("#whatsapp-waiting").click()
        expect(page.locator("#result_list")).to_contain_text("whatsapp.send")
        keep(page, "board-jobs")
        assert faults == []
    assert list(
        AuditLog.objects.filter(entity_type="queue").order_by("id").values_list("action", flat=True)
    ) == [
        "queue.paused",
        "queue.resumed",
    ]


@pytest.mark.usefixtures("_statistics_put_back")
def test_renews_itself_under_a_strict_policy(live_server, officer: User):  # noqa: F811
    a_busy_afternoon(3)
    with chromium(live_server.url) as page:
        faults = faults_of(page)
        sign_in(page, live_server.url, officer)
        page.route("**/admin/queues/", with_policy)
        page.goto(f"{live_server.url}/admin/queues/")
        page.locator("#board-workers summary").click()
        page.locator("#whatsapp-waiting").focus()
        assert count_of(page, "#whatsapp-waiting") == "1"
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO jobs (queue, kind, args, reference) SELECT 'whatsapp', 'k', '{}', '' FROM generate_series(1, 5)"
            )
        expect(page.locator("#whatsapp-waiting")).to_have_text("6", timeout=RENEWED)
        assert page.evaluate("document.activeElement.id") == "whatsapp-waiting"
        assert page.locator("#board-workers").get_attribute("open") == ""
        page.get_by_role("button", name="Every 5 s").click()
        expect(page.get_by_role("button", name="Every 5 s")).to_have_attribute(
            "aria-pressed", "false"
        )
        assert faults == []
        page.get_by_role("button", name="Every 5 s").click()
        page.route("**/admin/queues/now/", lambda route: route.abort())
        expect(page.get_by_role("status")).to_contain_text("these figures are old", timeout=RENEWED)


def with_policy(route) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": POLICY})


def test_works_without_script(live_server, officer: User):  # noqa: F811
    a_busy_afternoon(3)
    with chromium(live_server.url) as page:
        sign_in(page, live_server.url, officer)
        page.route("**/*.js", lambda route: route.abort())
        page.goto(f"{live_server.url}/admin/queues/")
        expect(page.get_by_role("button", name="Every 5 s")).to_be_hidden()
        page.get_by_role("link", name="Refresh").click()
        assert count_of(page, "#whatsapp-waiting") == "1"
