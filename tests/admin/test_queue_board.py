"""The queue board: what it says, who may do what, and that it stays quick with 100,000 jobs waiting."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from khaacho import job_desk, tenants
from khaacho.enums import Queue
from khaacho.jobs.nodes import BEAT, SWEEP, Node
from khaacho.models import AuditLog, Job, QueueSetting
from monitoring import drawings
from monitoring.board import duration
from tests.admin.conftest import signed_in
from tests.admin.desk import texts
from tests.processes import free_port

pytestmark = pytest.mark.django_db

BOARD, NOW = "/admin/queues/", "/admin/queues/now/"
JOBS = "/admin/khaacho/job/"


def verb(queue: str, name: str) -> str:
    return f"/admin/khaacho/queuesetting/{queue}/verb/{name}/"


def body(client: Client, path: str = BOARD) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def everybody_works() -> None:
    Node("w1", list(Queue.values), 19).report(is_new=True)
    for name in (BEAT, SWEEP):
        Node(name).report(is_new=True)


def waiting(count: int, state: str = "queued") -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (queue, kind, args, reference, state, finished_at)"
            " SELECT (ARRAY['whatsapp', 'order_routing', 'reports'])[1 + mod(n, 3)], 'k', '{}',"
            " 'order:' || n, %s, CASE WHEN %s = 'dead' THEN now() END FROM generate_series(1, %s) AS n",
            [state, state, count],
        )
        cursor.execute("ANALYZE jobs")


def test_shows_all_queues_with_their_figures(admin: Client):
    everybody_works()
    waiting(6)
    text = body(admin)
    for queue in Queue:
        assert f'aria-labelledby="queue-{queue.value}"' in text
    assert f'href="{JOBS}?queue__exact=whatsapp&amp;state__exact=queued">2</a>' in text
    assert "board-warnings" not in text
    assert body(admin, NOW).strip().startswith('<div class="board-figures">')


def test_links_lead_to_as_many_jobs(admin: Client):
    waiting(6)
    response = admin.get(f"{JOBS}?queue__exact=whatsapp&state__exact=queued")
    assert response.context["cl"].result_count == 2


def test_is_linked_from_the_index_and_from_jobs(admin: Client):
    job = Job.objects.create(queue="reports", kind="k")
    for path in ("/admin/", JOBS, f"{JOBS}{job.pk}/change/"):
        assert f'href="{BOARD}"' in body(admin, path), path


def test_says_in_words_what_is_wrong(admin: Client, settings):
    text = body(admin)
    assert "The sweep has never run" in text
    assert "No beat was ever seen" in text
    assert "No worker is alive" in text
    everybody_works()
    Node("w1", ["whatsapp"], 5).report()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE worker_nodes SET seen_at = statement_timestamp() - interval '72 s'"
            " WHERE name = 'sweep'"
        )
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    text = body(admin)
    assert "The sweep last ran 1 min 1" in text
    assert "No beat was ever seen" not in text
    assert "No worker takes: Credit Score, Order Routing" in text
    assert "Redis does not answer" in text


def test_pauses_with_a_reason_and_resumes(admin: Client, admin_user):
    waiting(6)
    asked = admin.post(verb("whatsapp", "pause_queue")).content.decode()
    assert "Waiting: 2." in asked
    refused = admin.post(verb("whatsapp", "pause_queue"), {"reason": " ", "_confirm": "1"})
    assert "This field is required" in refused.content.decode()
    assert not QueueSetting.objects.filter(is_paused=True).exists()
    done = admin.post(
        verb("whatsapp", "pause_queue"), {"reason": "Meta is down.", "_confirm": "1"}, follow=True
    )
    assert done.redirect_chain[-1][0] == BOARD
    assert "is paused" in texts(done)
    text = done.content.decode()
    assert "Meta is down." in text
    assert admin_user.name in text
    entry = AuditLog.objects.get(action="queue.paused")
    assert (entry.user, entry.reason) == (admin_user, "Meta is down.")
    again = admin.post(verb("whatsapp", "pause_queue"), follow=True)
    assert "it is paused" in texts(again)
    assert "Meta is down." in admin.post(verb("whatsapp", "resume_queue")).content.decode()
    admin.post(verb("whatsapp", "resume_queue"), {"_confirm": "1"})
    assert not QueueSetting.objects.get(queue="whatsapp").is_paused
    assert AuditLog.objects.filter(action="queue.resumed", user=admin_user).count() == 1


def test_a_queues_page_tells_what_was_done_to_it(admin: Client, admin_user):
    job_desk.pause("whatsapp", "Meta is down.", tenants.actor_of(admin_user))
    assert "Meta is down." in body(admin, "/admin/khaacho/queuesetting/whatsapp/change/")


def test_requeues_the_dead_after_saying_how_many(admin: Client):
    waiting(9, "dead")
    assert "Dead: 3." in admin.post(verb("reports", "requeue_dead")).content.decode()
    assert Job.objects.dead().count() == 9
    admin.post(verb("reports", "requeue_dead"), {"_confirm": "1"})
    assert Job.objects.filter(state="queued", queue="reports").count() == 3
    assert AuditLog.objects.get(action="queue.dead_requeued").new_values["jobs"] == 3


def test_who_may_see_and_who_may_act(member):
    waiting(6, "dead")
    assert Client().get(BOARD).status_code == 302
    stranger = signed_in(member("Catalogue"))
    for path in (BOARD, NOW):
        assert stranger.get(path).status_code == 403
    assert BOARD not in body(stranger, "/admin/")
    reader = signed_in(member("Support"))
    assert "/verb/" not in body(reader)
    for name in ("pause_queue", "resume_queue", "requeue_dead"):
        assert reader.post(verb("reports", name), {"_confirm": "1"}).status_code == 403
    assert Job.objects.dead().count() == 6
    operator = body(signed_in(member("Operations")))
    assert verb("reports", "pause_queue") in operator
    assert verb("reports", "requeue_dead") in operator
    assert verb("credit_score", "requeue_dead") not in operator


def test_nothing_is_done_by_a_link(admin: Client):
    response = admin.get(verb("reports", "pause_queue"))
    assert response.status_code == 302
    assert not QueueSetting.objects.filter(is_paused=True).exists()
    assert admin.post(BOARD).status_code == 405
    assert admin.post(verb("nothing", "pause_queue")).status_code == 404


def test_nothing_inline_that_a_strict_policy_forbids(admin: Client):
    waiting(3)
    job_desk.pause("reports", "Audit.", tenants.actor_of(member_of(admin)))
    text = body(admin)
    assert not re.search(r'\sstyle="|<style|\son[a-z]+="|<script(?![^>]*\ssrc=)', text)


def member_of(client: Client):
    return client.get("/admin/").context["user"]


def test_the_same_statements_with_100_000_waiting_jobs(admin: Client):
    """How long they take is a target of `make bench`."""
    everybody_works()

    def statements(path: str) -> int:
        body(admin, path)
        with CaptureQueriesContext(connection) as captured:
            body(admin, path)
        return len(captured)

    waiting(3)
    few = {path: statements(path) for path in (BOARD, NOW)}
    waiting(100_000)
    assert {path: statements(path) for path in (BOARD, NOW)} == few
    assert statements(JOBS) <= 4  # a long list is estimated, a short one counted
    assert few[BOARD] <= 12


def test_a_job_is_found_among_100_000(admin: Client):
    waiting(100_000)
    text = body(admin, f"{JOBS}?q=order:99999")
    assert text.count('class="action-select"') == 1
    page = admin.get(f"{JOBS}?queue__exact=reports&state__exact=queued")
    following = page.context["cl"].walk.next
    assert admin.get(JOBS + following).context["cl"].result_list[0].queue == "reports"


def test_a_jobs_traceback_is_shown_as_it_is_and_its_phone_is_not(admin: Client):
    job = Job.objects.create(
        queue="reports",
        kind="k",
        state="dead",
        args={"phone": "+9779812345678"},
        last_error="Traceback:\n  File <x>\nValueError: no",
    )
    text = body(admin, f"{JOBS}{job.pk}/change/")
    assert "<pre>Traceback:\n  File &lt;x&gt;\nValueError: no</pre>" in text
    assert "9812345678" not in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (75, "1 min 15 s"), (7500, "2 h 5 min"), (90_000, "1 d 1 h")],
)
def test_durations_for_people(seconds, text):
    assert duration(seconds) == text


def test_a_curve_says_in_words_what_it_shows():
    svg = drawings.curve([0, 5, 2], "Done")
    assert 'aria-label="Done: 2 lately, 5 at most, 7 in all"' in svg
    assert svg.count("<polyline") == 1
    assert 'points="0.0,35.0 120.0,2.0 240.0,21.8"' in svg
    assert "none" in drawings.curve([0, 0], "Done")


def test_a_bar_shows_what_is_there_however_little():
    svg = drawings.bar([("waiting", 99_999), ("active", 1), ("dead", 0)])
    widths = [int(width) for width in re.findall(r'x="\d+" width="(\d+)"', svg)]
    assert widths == [988, 12]
    assert 'aria-label="99,999 waiting, 1 active, 0 dead"' in svg
    assert re.findall(r'x="\d+"', drawings.bar([("waiting", 0)])) == []
