"""The jobs of the admin: payloads are masked, kinds filter, dead ones of a queue begin anew at once."""

import pytest
from django.test import Client

from khaacho.models import AuditLog, Job
from tests.admin.desk import list_of, page_of, texts

pytestmark = pytest.mark.django_db

PHONE, TOKEN = "+977 9812345678", "3f9a8b7c6d5e4f30aa11bb22cc33dd44"


def make_job(**columns) -> Job:
    return Job.objects.create(**{"queue": "reports", "kind": "orders.route", **columns})


def test_a_payload_shows_ids_and_neither_people_nor_secrets(admin: Client):
    job = make_job(
        args={
            "order_id": 42,
            "event": {
                "contact_name": "Gaurishankar Rai",
                "from_number": PHONE,
                "note": f"call {PHONE}",
            },
            "list": [{"access_token": TOKEN}, f"bearer {TOKEN}"],
            "phone": 9812345678,
        }
    )
    page = admin.get(page_of(job)).content.decode()
    assert "&quot;order_id&quot;: 42" in page
    for secret in ("Gaurishankar", "9812345678", TOKEN):
        assert secret not in page
    assert "call …" in page


def test_kinds_are_a_filter(admin: Client):
    wanted = make_job(kind="orders.expire")
    make_job()
    page = admin.get(f"{list_of(Job)}?kind=orders.expire")
    assert [job.pk for job in page.context["cl"].result_list] == [wanted.pk]


def test_all_dead_jobs_of_a_queue_begin_anew(admin: Client):
    for _ in range(3):
        make_job(state="dead", attempts=3)
    make_job(state="dead", queue="whatsapp")
    url = f"{list_of(Job)}verb/requeue/"
    assert b"begins anew" in admin.post(url).content
    done = admin.post(url, {"queue": "reports", "_confirm": "1"}, follow=True)
    assert "3 dead jobs will run within seconds." in texts(done)
    assert Job.objects.filter(state="queued", attempts=0).count() == 3
    assert Job.objects.filter(state="dead").count() == 1
    assert AuditLog.objects.get(action="queue.dead_requeued").new_values["jobs"] == 3
