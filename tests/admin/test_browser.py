"""A day at the desk, in a real browser: sign in, cancel an order, decide at the credit desk."""

from collections.abc import Iterator

import pytest
from django.db import connection
from playwright.sync_api import Page, expect

from khaacho import permissions
from khaacho.enums import Role
from khaacho.models import User
from monitoring.models import Report
from orders.enums import RefusalState
from orders.models import Order, OrderRefusal, OrderStatusLog
from payments.models import Payment
from tests.admin.browser import chromium, keep
from tests.admin.conftest import PASSWORD
from tests.admin.trade import make_refusal
from tests.factories import advance, make_offer, make_order, make_retailer, make_user

pytestmark = [
    pytest.mark.processes,
    pytest.mark.patient,
    pytest.mark.django_db(transaction=True),
    # the browser's driver runs an event loop in this thread
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def officer(transactional_db, monkeypatch) -> User:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    permissions.sync_groups()
    return make_user(Role.ADMIN, is_superuser=True)


def sign_in(page: Page, address: str, user: User) -> None:
    page.goto(f"{address}/admin/")
    page.get_by_label("Phone").fill(user.phone.removeprefix("+977"))
    page.get_by_label("Password").fill(PASSWORD)
    keep(page, "sign-in")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#user-tools")).to_contain_text(user.name)


def test_cancels_an_order_with_a_reason(live_server, officer: User):
    shop = make_retailer()
    order = advance(make_order(shop, make_offer(price=1250), quantity=3), "ACCEPTED")
    make_order(shop, make_offer())
    with chromium(live_server.url) as page:
        sign_in(page, live_server.url, officer)
        keep(page, "index")
        page.get_by_role("link", name="Orders", exact=True).last.click()
        keep(page, "orders")
        page.get_by_role("link", name=order.order_number).click()
        keep(page, "order")
        page.get_by_role("button", name="Cancel order").click()
        keep(page, "order-cancel")
        page.get_by_role("button", name="Cancel order").click()
        expect(page.locator(".errorlist")).to_contain_text("This field is required")
        keep(page, "order-cancel-error")
        page.get_by_label("Reason").fill("The shop is closed for the feast.")
        page.get_by_role("button", name="Cancel order").click()
        expect(page.locator(".messagelist")).to_contain_text("is cancelled")
        expect(page.locator(".timeline")).to_contain_text("The shop is closed for the feast.")
        keep(page, "order-cancelled")
    order.refresh_from_db()
    assert order.status == "CANCELLED"
    assert OrderStatusLog.objects.get(to_status="CANCELLED").actor == officer


def test_approves_a_refusal_at_the_credit_desk(live_server, officer: User):
    refusal = make_refusal(credit_limit=412_300, price=500_000)
    make_refusal()
    with chromium(live_server.url) as page:
        sign_in(page, live_server.url, officer)
        page.goto(f"{live_server.url}/admin/orders/orderrefusal/")
        keep(page, "credit-desk")
        page.get_by_role("link", name=refusal.retailer.shop_name).click()
        keep(page, "refusal")
        page.get_by_role("button", name="Approve once").click()
        page.get_by_label("Reason").fill("Pays every Friday.")
        keep(page, "refusal-approve")
        page.get_by_role("button", name="Approve once").click()
        expect(page.locator(".messagelist")).to_contain_text("is placed")
        keep(page, "refusal-approved")
        page.get_by_role("link", name="ORD-").click()
        expect(page.locator("#content")).to_contain_text("Pays every Friday.")
        page.goto(f"{live_server.url}/admin/credit/retailer/{refusal.retailer_id}/change/")
        keep(page, "retailer")
    refusal.refresh_from_db()
    assert refusal.state == RefusalState.APPROVED
    assert refusal.order.retailer_id == refusal.retailer_id


def test_cancels_a_selection_and_says_what_it_could_not(live_server, officer: User):
    ready = [make_order(make_retailer(), make_offer(price=50_000)) for _ in range(2)]
    closed = advance(make_order(make_retailer(), make_offer()), "DELIVERED")
    with chromium(live_server.url) as page:
        sign_in(page, live_server.url, officer)
        page.goto(f"{live_server.url}/admin/orders/order/")
        page.locator("#action-toggle").check()
        page.locator("select[name=action]").select_option("cancel_order")
        page.get_by_role("button", name="Go").click()
        expect(page.locator("#content")).to_contain_text("2 of 3 can be done")
        expect(page.locator("#content")).to_contain_text("NPR 1,00,000.00")
        keep(page, "bulk")
        page.get_by_label("Reason").fill("Flooded road.")
        page.get_by_role("button", name="Cancel order").click()
        expect(page.locator(".messagelist")).to_contain_text(f"it is delivered: {closed}")
        keep(page, "bulk-done")
    assert Order.objects.filter(status="CANCELLED").count() == len(ready)


def test_records_a_payment_with_names_typed(live_server, officer: User):
    order = advance(make_order(make_retailer(), make_offer(price=60_000)), "DELIVERED")
    with chromium(live_server.url) as page:
        sign_in(page, live_server.url, officer)
        page.goto(f"{live_server.url}/admin/payments/payment/")
        page.get_by_role("link", name="Record payment").click()
        for field, typed in (("retailer", order.retailer.code), ("vendor", order.vendor.code)):
            page.locator(f"#id_{field} + .select2").click()
            page.locator(".select2-search__field").fill(typed)
            page.locator(".select2-results__option", has_text=typed).click()
        page.get_by_label("Amount").fill("1,00,000")
        keep(page, "payment")
        page.get_by_role("button", name="Continue").click()
        expect(page.locator(".preview")).to_contain_text(order.order_number)
        keep(page, "payment-preview")
        page.get_by_role("button", name="Record payment").click()
        expect(page.locator(".messagelist")).to_contain_text("is recorded")
        keep(page, "payment-recorded")
    assert Payment.objects.get().allocated_amount == 60_000


def test_the_credit_desk_fits_a_phone(live_server, officer: User):
    refusal = make_refusal()
    with chromium(live_server.url) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        sign_in(page, live_server.url, officer)
        for name in (f"orderrefusal/{refusal.pk}/change/", f"orderrefusal/{refusal.pk}/history/"):
            page.goto(f"{live_server.url}/admin/orders/{name}")
            width = page.evaluate("document.documentElement.scrollWidth")
            keep(page, f"phone-{name.split('/')[2]}")
            assert width <= 390
    assert OrderRefusal.objects.count() == 1


@pytest.fixture
def _statistics_put_back(django_db_setup, django_db_blocker) -> Iterator[None]:
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) jobs")


@pytest.mark.usefixtures("_statistics_put_back")
def test_walks_a_long_list(live_server, officer: User):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (queue, kind, args, reference, state) SELECT 'reports', 'reports.build',"
            " '{}', 'report:' || n, 'dead' FROM generate_series(1, 12345) AS n"
        )
        cursor.execute("ANALYZE jobs")
    with chromium(live_server.url) as page:
        sign_in(page, live_server.url, officer)
        page.goto(f"{live_server.url}/admin/khaacho/job/")
        pager = page.get_by_role("navigation", name="Pages")
        expect(pager).to_contain_text("about 12,000 jobs")
        expect(pager.get_by_role("link")).to_have_text(["Next", "Last"])
        first = page.locator("#result_list tbody tr").first.text_content()
        for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            keep(page, f"walk-{width}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        pager.get_by_role("link", name="Next").click()
        expect(pager.get_by_role("link")).to_have_text(["First", "Previous", "Next", "Last"])
        keep(page, "walk-390-second")
        pager.get_by_role("link", name="Last").click()
        expect(pager.get_by_role("link")).to_have_text(["First", "Previous"])
        expect(page.locator("#result_list tbody tr").last).to_contain_text("report:1")
        pager.get_by_role("link", name="Previous").click()
        pager.get_by_role("link", name="First").click()
        expect(page.locator("#result_list tbody tr").first).to_have_text(first)


def test_asks_for_a_report_and_sees_how_far_it_is(live_server, officer: User):
    shop = make_retailer()
    with chromium(live_server.url) as page:
        sign_in(page, live_server.url, officer)
        page.goto(f"{live_server.url}/admin/monitoring/report/")
        page.get_by_role("link", name="New report").click()
        page.get_by_label("Kind").select_option("PURCHASE_VOLUME")
        page.get_by_label("First day").fill("2026-02-02")
        page.get_by_label("Last day").fill("2026-02-01")
        page.get_by_role("button", name="New report").click()
        expect(page.locator(".errorlist")).to_contain_text("The first day is after the last.")
        keep(page, "report-new-error")
        page.get_by_label("Last day").fill("2026-02-28")
        page.get_by_role("button", name="New report").click()
        expect(page.locator(".messagelist")).to_contain_text("is being made")
        expect(page.locator("progress")).to_be_visible()
        keep(page, "report-waiting")
        Report.objects.update(state="running", progress=40)
        page.goto(f"{live_server.url}/admin/monitoring/report/")
        keep(page, "reports")
        page.goto(f"{live_server.url}/admin/credit/retailer/{shop.pk}/change/")
        page.get_by_role("button", name="Statement").click()
        page.get_by_role("button", name="Statement").click()
        expect(page.locator(".messagelist")).to_contain_text("A statement of")
        keep(page, "retailer-statements")
    assert Report.objects.filter(kind="STATEMENT", retailer=shop).count() == 1
