"""On whose behalf a line is written, and in which files it stands."""

import logging

import pytest
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.db import transaction
from django.test import RequestFactory

from khaacho import events, jobs, logs, origins
from khaacho.logs import ids_of, scrub
from tests.api.clients import anonymous, make_person, signed_in
from tests.factories import make_offer, make_order, make_retailer
from tests.khaacho.conftest import enqueue
from tests.khaacho.kinds import TeaBrewed
from tests.khaacho.planting import lines_of, logging_to


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("call +9779812345678 now", "call … now"),
        ("call 98-123 45678", "call …"),
        ("Key (phone)=(+9779812345678)", "Key (phone)=(…)"),
        ("token 3f9a8b7c6d5e4f30aa11bb22cc33dd44", "token …"),
        ("order 123456 of line 42: 1,250.00 NPR", "order 123456 of line 42: 1,250.00 NPR"),
        (
            "in test_refuses_when_the_credit_limit_is_exceeded",
            "in test_refuses_when_the_credit_limit_is_exceeded",
        ),
    ],
)
def test_scrub_blanks_phones_and_tokens_and_leaves_the_rest(text, scrubbed):
    assert scrub(text) == scrubbed


@pytest.fixture
def files(tmp_path):
    with logging_to(tmp_path):
        yield lambda name: lines_of(tmp_path, name)


def named(lines: list[dict], event: str) -> list[dict]:
    return [line for line in lines if line["event"] == event]


def test_ids_of_a_jobs_arguments():
    arguments = {
        "order_id": 7,
        "kind": "x",
        "phone_id": "9",
        "event": {"acceptance_id": 8, "text": "y"},
    }
    assert ids_of(arguments) == {"order_id": 7, "acceptance_id": 8}
    assert ids_of({"is_id": True, "event": "none"}) == {}


@pytest.mark.django_db(transaction=True)
def test_a_fact_is_logged_once_it_stands(files):
    with transaction.atomic():
        events.publish(TeaBrewed(pot_id=7, sort="Ilam"))
        assert named(files("combined"), "TeaBrewed") == []
    [line] = named(files("combined"), "TeaBrewed")
    assert (line["pot_id"], line["sort"], line["logger"]) == (7, "Ilam", "tests.khaacho.kinds")
    with transaction.atomic():
        events.publish(TeaBrewed(pot_id=8, sort="Ilam"))
        transaction.set_rollback(True)
    assert len(named(files("combined"), "TeaBrewed")) == 1


def test_no_fact_has_a_field_that_a_log_record_has():
    fields = {name for event in events._events.values() for name in event.__dataclass_fields__}
    assert "order_id" in fields
    assert fields.isdisjoint({*vars(logging.makeLogRecord({})), "message", "asctime"})


@pytest.mark.django_db(transaction=True)
def test_a_job_logs_with_its_id_and_those_that_it_is_about(files):
    token, user = logs.request_id.set("req-5"), logs.user_id.set(9)
    done, failed = enqueue("test.note", {"label": "x"}), enqueue("test.fail", {"label": "y"})
    logs.request_id.reset(token)
    logs.user_id.reset(user)
    jobs.run_due()
    [line] = named(files("combined"), "job.done")
    assert (line["job_id"], line["request_id"], line["kind"]) == (done, "req-5", "test.note")
    assert line["user_id"] == 9
    assert (line["attempt"], line["logger"]) == (1, "khaacho.jobs")
    assert line["seconds"] > 0
    [line] = named(files("error"), "job.failed")
    assert (line["job_id"], line["request_id"]) == (failed, "req-5")
    assert "9812345678" not in line["error"]
    assert "RuntimeError: no answer from … token …" in line["error"].replace(",", "")


@pytest.mark.django_db(transaction=True)
def test_what_is_about_an_order_stands_in_its_file_and_whatsapps_in_its_own(files):
    order = make_order(make_retailer(), make_offer())
    jobs.run_due()
    about = files("orders")
    assert {line["event"] for line in about} == {"OrderPlaced", "OrderOffered", "job.done"}
    assert {line["order_id"] for line in about} == {order.pk}
    assert {line["kind"] for line in files("whatsapp")} >= {
        "OrderPlaced>whatsapp.handlers.order_placed"
    }
    assert all("whatsapp." in line["kind"] for line in files("whatsapp"))
    assert files("rejections") == files("error") == files("slow-queries") == []


@pytest.mark.django_db(transaction=True)
def test_a_request_is_logged_with_who_asks_and_what_for(files):
    shop, offer = make_retailer(), make_offer()
    order, vendor = make_order(shop, offer), signed_in(offer.vendor.user)
    answer = vendor.post(
        f"/api/v1/orders/{order.pk}/pack/",
        {},
        content_type="application/json",
        headers={"Idempotency-Key": "k" * 20},
    )
    assert answer.status_code == 409
    vendor.get(f"/api/v1/orders/{order.pk}/")
    [line] = named(files("combined"), "request.answered")
    assert (line["user_id"], line["order_id"]) == (offer.vendor.user_id, order.pk)
    assert (line["method"], line["status"]) == ("POST", 409)
    assert line["route"].endswith("orders/<int:order_id>/pack/")
    assert line["statements"] >= 1
    [line] = files("rejections")
    assert (line["user_id"], line["order_id"], line["status"]) == (
        offer.vendor.user_id,
        order.pk,
        409,
    )
    # an id of ten digits, as other tests make, looks like a phone
    assert line["path"] == scrub(f"/api/v1/orders/{order.pk}/pack/")


@pytest.mark.django_db
def test_a_sign_in_page_and_a_page_that_is_not_allowed_are_refused_in_the_same_file(files):
    client = anonymous()
    client.post("/admin/login/", {"username": "9812345678", "password": "hunter2"})
    [line] = files("rejections")
    assert (line["code"], line["path"]) == ("sign_in_refused", "/admin/login/")
    operator = make_person()
    client.force_login(operator)
    answer = client.get("/admin/khaacho/user/")
    assert answer.status_code == 403
    line = files("rejections")[-1]
    assert (line["code"], line["user_id"]) == ("permission_denied", operator.pk)
    strict = anonymous(enforce_csrf_checks=True)
    assert strict.post("/admin/login/", {"username": "9812345678"}).status_code == 403
    line = files("rejections")[-1]
    assert line["logger"] == "django.security.csrf"
    assert "9812345678" not in str(files("combined"))


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [
        ("3f9a8b7c6d5e4f30aa11bb22cc33dd44", True),
        ("550e8400-e29b-41d4-a716-446655440000", True),
        ("deploy-42", True),
        ("9812345678", False),
        ("977-9812345678", False),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", False),
        ("a b", False),
    ],
)
def test_an_id_that_may_be_a_phone_or_a_token_is_not_taken(given, is_taken):
    answer = anonymous(headers={"X-Request-ID": given}).get("/livez")
    assert (answer["X-Request-ID"] == given) is is_taken


def test_a_user_is_not_looked_up_for_a_line(files):
    request = RequestFactory().get("/admin/")
    request.session = {}
    AuthenticationMiddleware(lambda _: None).process_request(request)
    token = origins.current.set(origins.Origin(request=request))
    try:
        logging.getLogger("khaacho.x").warning("hello")
    finally:
        origins.current.reset(token)
    assert "_cached_user" not in vars(request)
    assert "user_id" not in named(files("combined"), "hello")[0]
