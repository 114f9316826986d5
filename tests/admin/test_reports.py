"""Reports at the desk: asked for, seen, downloaded by whoever may; a statement from a shop's page."""

import pytest
from django.urls import reverse

from khaacho.models import AuditLog
from monitoring.models import Report
from tests.admin.conftest import signed_in
from tests.admin.desk import act, ask, list_of, page_of, texts
from tests.factories import advance, make_offer, make_order, make_retailer
from tests.monitoring.reports import making
from tests.monitoring.reports.making import file_of, work

pytestmark = pytest.mark.django_db(transaction=True)


def download_of(report: Report) -> str:
    return reverse("admin:monitoring_report_download", args=[report.pk])


def request(client, **fields):
    data = {"format": "csv", "_confirm": "1", **fields}
    return client.post(f"{list_of(Report)}verb/request_report/", data, follow=True)


def test_a_report_is_asked_for_and_its_page_shows_it(admin, admin_user):
    shop = make_retailer()
    page = admin.get(f"{list_of(Report)}verb/request_report/")
    assert b"<script>" not in page.content
    done = request(
        admin,
        kind="PURCHASE_VOLUME",
        group_by="product",
        first_day="2026-01-01",
        last_day="2026-01-31",
        retailer=shop.pk,
    )
    report = Report.objects.get()
    assert done.redirect_chain[-1][0] == page_of(report)
    assert report.filters == {
        "from": "2026-01-01",
        "to": "2026-01-31",
        "group_by": "product",
        "retailer_id": shop.pk,
    }
    assert report.requested_by == admin_user
    assert b'<progress value="0" max="100"' in done.content
    assert b"from: 2026-01-01, group by: product" in done.content
    shown = admin.get(list_of(Report)).content.decode()
    assert '<progress value="0"' in shown
    work(report)
    shown = admin.get(list_of(Report)).content.decode()
    assert f'<a href="{download_of(report)}">Download</a>' in shown
    assert "<progress" not in shown


def test_what_a_kind_does_not_know_is_refused_beside_its_field(admin):
    response = request(admin, kind="CREDIT_SUMMARY", first_day="2026-01-01")
    assert "no such filter" in response.context["form"].errors["first_day"][0]
    response = request(admin, kind="PURCHASE_VOLUME", group_by="account")
    assert response.context["form"].errors["group_by"]
    response = request(admin, kind="STATEMENT")
    assert response.context["form"].errors["retailer"] == ["This filter is required."]
    assert not Report.objects.exists()


def test_the_file_is_for_whoever_may_take_it_out(admin, member):
    report = work(making.ask("CREDIT_SUMMARY", "csv"))
    response = admin.get(download_of(report))
    assert (response.status_code, response.getvalue()) == (200, file_of(report))
    assert AuditLog.objects.get(action="report.downloaded").entity_id == report.pk
    support = signed_in(member("Support"))
    for page in (list_of(Report), page_of(report)):
        shown = support.get(page)
        assert shown.status_code == 200
        assert download_of(report) not in shown.content.decode()
    assert support.get(download_of(report)).status_code == 403
    assert signed_in(member("Catalogue")).get(download_of(report)).status_code == 403
    assert admin.get(download_of(report).replace(str(report.pk), "999999")).status_code == 404


def test_without_a_file_one_is_told(admin):
    report = making.ask("CREDIT_SUMMARY", "csv")
    response = admin.get(download_of(report), follow=True)
    assert "has no file" in texts(response)
    work(report)
    Report.objects.update(expires_at="2026-01-01T00:00:00Z")
    assert "no longer kept" in texts(admin.get(download_of(report), follow=True))
    assert "no longer kept" in admin.get(list_of(Report)).content.decode()


def test_a_statement_from_the_shops_page(admin, member):
    shop = make_retailer()
    advance(make_order(shop, make_offer()), "DELIVERED")
    assert ask(admin, shop, "request_statement").status_code == 200
    done = act(admin, shop, "request_statement", format="pdf", first_day="2026-01-01")
    report = Report.objects.get()
    assert (report.kind, report.format, report.retailer) == ("STATEMENT", "pdf", shop)
    assert "is being made" in texts(done)
    assert done.redirect_chain[-1][0] == page_of(shop)
    page = admin.get(page_of(shop))
    assert "Statements" in page.content.decode()
    assert page_of(report) in page.content.decode()
    assert work(report).state == "done"
    support = signed_in(member("Support"))
    assert ask(support, shop, "request_statement").status_code == 403
    offered = [verb.name for verb in support.get(page_of(shop)).context["verbs"]]
    assert "request_statement" not in offered
