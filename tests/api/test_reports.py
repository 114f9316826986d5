"""Reports over HTTP: asked for, looked at, cancelled, downloaded; and statements on paper."""

from datetime import timedelta

import pytest
from django.utils import timezone

from credit.api import statements
from khaacho.actors import SYSTEM
from khaacho.models import AuditLog
from khaacho.tenants import actor_of
from monitoring import services
from monitoring.models import Report
from payments import services as payments
from payments.enums import PaymentMethod
from tests.api.clients import assert_problem
from tests.api.trade import Caller, assert_constant_queries, ids
from tests.factories import advance, make_employee, make_offer, make_order, make_retailer, make_user
from tests.monitoring.reports.making import D, ask, file_of, pages, work

pytestmark = pytest.mark.django_db(transaction=True)


def body(kind="CREDIT_SUMMARY", form="csv", **filters):
    return {"kind": kind, "format": form, "filters": filters}


@pytest.fixture
def employee(db):
    return make_employee("Credit")


@pytest.fixture
def staff(employee) -> Caller:
    return Caller(employee)


def test_a_report_from_asking_to_its_file(staff, employee):
    make_retailer()
    response = staff.post("reports/", body(district="Surkhet"))
    assert response.status_code == 201
    answer = response.json()
    report = Report.objects.get()
    assert response["Location"] == f"/api/v1/reports/{report.pk}/"
    assert answer == {
        "id": report.pk,
        "kind": "CREDIT_SUMMARY",
        "format": "csv",
        "filters": {"district": "Surkhet", "group_by": "retailer"},
        "state": "queued",
        "progress": 0,
        "row_count": None,
        "size": None,
        "file_name": "",
        "sha256": "",
        "requested_by_id": employee.pk,
        "created_at": answer["created_at"],
        "started_at": None,
        "finished_at": None,
        "expires_at": None,
        "download_url": None,
        "error": "",
    }
    path = f"reports/{report.pk}/"
    assert_problem(staff.get(f"{path}download/"), 409, "report_not_ready")
    work(report)
    shown = staff.get(path).json()
    assert (shown["state"], shown["progress"], shown["row_count"]) == ("done", 100, 1)
    assert shown["download_url"] == f"/api/v1/reports/{report.pk}/download/"

    download = staff.client.get(shown["download_url"])
    assert download.status_code == 200
    assert download.getvalue() == file_of(report)
    assert download["Content-Type"] == "text/csv; charset=utf-8"
    assert download["Content-Length"] == str(shown["size"])
    assert download["Content-Disposition"] == f'attachment; filename="{shown["file_name"]}"'
    assert download["ETag"] == f'"{shown["sha256"]}"'
    assert download["Cache-Control"] == "private, no-cache"
    again = staff.client.get(shown["download_url"], headers={"If-None-Match": download["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = staff.client.get(shown["download_url"], headers={"If-None-Match": '"x"'})
    assert other.status_code == 200
    assert AuditLog.objects.filter(action="report.downloaded", user=employee).count() == 3

    Report.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert_problem(staff.get(f"{path}download/"), 410, "report_expired")


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        ("json", "application/json"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("pdf", "application/pdf"),
    ],
)
def test_other_forms_say_what_they_are(staff, form, content_type):
    report = work(ask("CREDIT_SUMMARY", form))
    response = staff.get(f"reports/{report.pk}/download/")
    assert (response.status_code, response["Content-Type"]) == (200, content_type)
    assert response["Content-Disposition"].endswith(f'.{form}"')
    assert response.getvalue() == file_of(report)


def test_asked_for_again_it_is_the_same_and_a_key_is_answered_again(staff):
    first = staff.post("reports/", body(), key="one").json()
    replayed = staff.post("reports/", body(), key="one")
    assert (replayed.json(), replayed["Idempotency-Replayed"]) == (first, "true")
    assert staff.post("reports/", body(), key=None).json()["id"] == first["id"]
    reused = staff.post("reports/", body(form="pdf"), key="one")
    assert_problem(reused, 422, "idempotency_key_reused")
    assert Report.objects.count() == 1


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"kind": "GOSSIP", "format": "csv"}, "kind"),
        ({"kind": "STATEMENT", "format": "docx"}, "format"),
        ({"kind": "STATEMENT", "format": "csv"}, "filters.retailer_id"),
        (body(planet="Mars"), "filters.planet"),
        (body("PURCHASE_VOLUME", **{"from": "x"}), "filters.from"),
        ({"kind": "STATEMENT", "format": "csv", "filters": [1]}, "filters"),
    ],
)
def test_refuses_what_it_cannot_read(staff, sent, field):
    document = assert_problem(staff.post("reports/", sent), 400, "invalid")
    assert [name.partition(".not")[0] for name in document["errors"]] == [field]
    assert not Report.objects.exists()


def test_each_act_needs_its_permission(staff):
    report = work(ask("CREDIT_SUMMARY", "csv"))
    waiting = ask("CREDIT_SUMMARY", "pdf")
    support, nobody = Caller(make_employee("Support")), Caller(make_user())
    for caller in (support, nobody):
        assert_problem(caller.post("reports/", body()), 403, "permission_denied")
    for path, call in (
        (f"reports/{report.pk}/download/", support.get),
        (f"reports/{waiting.pk}/cancel/", support.post),
    ):
        assert_problem(call(path), 403, "permission_denied")
    assert support.get(f"reports/{report.pk}/").status_code == 200
    assert_problem(nobody.get(f"reports/{report.pk}/"), 404, "not_found")
    assert ids(support.get("reports/")) == [waiting.pk, report.pk]
    assert ids(nobody.get("reports/")) == []
    assert ids(staff.get("reports/", state="done")) == [report.pk]
    assert ids(staff.get("reports/", kind="STATEMENT")) == []
    assert_problem(staff.get("reports/", kind="GOSSIP"), 400, "invalid")


def test_cancelling(staff):
    report = ask("CREDIT_SUMMARY", "csv")
    answer = staff.post(f"reports/{report.pk}/cancel/")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert_problem(staff.post(f"reports/{report.pk}/cancel/"), 409, "conflict")
    assert_problem(staff.post("reports/999999/cancel/"), 404, "not_found")


def test_the_list_costs_the_same_at_1_row_and_at_50(staff):
    actor = actor_of(make_employee("Credit"))

    def add(count: int) -> None:
        for _ in range(count):
            services.request_report(
                kind=services.ReportKind.STATEMENT,
                form=services.ReportFormat.CSV,
                given={"retailer_id": make_retailer().pk},
                actor=actor,
            )

    assert_constant_queries(staff, "reports/", add, at_most=8)


# Statements on paper


def test_a_statement_on_paper_for_the_shop_its_vendor_and_staff():
    shop, offer = make_retailer(), make_offer(price=412_300, stock=1)
    type(shop).objects.filter(pk=shop.pk).update(
        shop_name="Krishna Kirana", shop_name_ne="कृष्ण किराना", credit_limit=900_000
    )
    order = advance(make_order(shop, offer), "DELIVERED")
    payments.record_payment(
        retailer_id=shop.pk,
        vendor_id=offer.vendor_id,
        amount=D("412.30"),
        method=PaymentMethod.CASH,
        actor=SYSTEM,
    )
    for user in (shop.user, offer.vendor.user, make_user()):
        response = Caller(user).get("credit/statement/", format="pdf", retailer_id=shop.pk)
        assert response["Content-Type"] == "application/pdf"
        assert response["Cache-Control"] == "private, no-store"
        assert response["Content-Disposition"].startswith(
            f'inline; filename="statement-{shop.code}'
        )
        (text,) = pages(response.content)
        for wanted in ("Krishna Kirana", shop.code, order.order_number, "NPR 4,11,887.70"):
            assert wanted in text, wanted
        assert text.count("4,12,300.00") == 3  # debit, its balance, and the sum of debits
    stranger = Caller(make_retailer().user)
    refused = stranger.get("credit/statement/", format="pdf", retailer_id=shop.pk)
    assert_problem(refused, 404, "not_found")


@pytest.mark.parametrize("form", ["json", "csv", "pdf"])
def test_a_statement_of_too_many_entries_points_to_the_report(monkeypatch, form):
    monkeypatch.setitem(statements.MOST_ENTRIES, form, 1)
    shop = make_retailer()
    for _ in range(2):
        advance(make_order(shop, make_offer()), "DELIVERED")
    response = Caller(shop.user).get("credit/statement/", format=form)
    document = assert_problem(response, 422, "statement_too_long")
    assert document["most"] == 1
    assert "STATEMENT" in document["detail"]
    monkeypatch.setitem(statements.MOST_ENTRIES, form, 2)
    assert Caller(shop.user).get("credit/statement/", format=form).status_code == 200
