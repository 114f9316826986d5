"""The demo trade, once loaded: it breaks no rule and could have happened."""

import json
from pathlib import Path

import pytest

from bench.trade import __main__ as command_line
from bench.trade import history, load, logins
from credit.models import CreditLedger, Retailer
from khaacho import sql
from khaacho.actors import SYSTEM
from khaacho.models import Job, User
from monitoring.invariants import run_invariants
from orders import services, tasks
from orders.enums import INVOICED, AcceptanceStatus, OrderStatus, PaymentStatus, PaymentTerms
from orders.models import Order, OrderItem, OrderStatusLog, VendorOrderAcceptance
from payments.enums import PaymentMethod, PaymentState
from payments.models import Payment
from tests.bench.conftest import quietly
from vendors.models import Product, Vendor, VendorProduct

pytestmark = pytest.mark.django_db


def test_breaks_no_invariant(trade: Path) -> None:
    assert [(r.invariant.name, r.examples) for r in run_invariants() if r.violations] == []


def test_shows_every_state(trade: Path) -> None:
    assert set(Order.objects.values_list("status", flat=True)) == set(OrderStatus)
    assert set(Order.objects.values_list("payment_status", flat=True)) >= {
        PaymentStatus.PENDING,
        PaymentStatus.PAID,
        PaymentStatus.OVERDUE,
    }
    assert set(Payment.objects.values_list("method", flat=True)) == set(PaymentMethod)
    assert {PaymentState.PROCESSED, PaymentState.REVERSED} <= set(
        Payment.objects.values_list("payment_status", flat=True)
    )
    assert Order.objects.filter(payment_terms=PaymentTerms.CREDIT).count() > 100
    assert Order.objects.filter(payment_terms=PaymentTerms.CASH).count() > 100


def test_tells_a_possible_story(trade: Path) -> None:
    backwards = sql.fetch(
        "SELECT l.order_id FROM order_status_logs l JOIN order_status_logs p"
        " ON p.order_id = l.order_id AND p.sequence = l.sequence - 1 WHERE l.created_at < p.created_at"
    )
    future = sql.fetch(
        "SELECT order_id FROM order_status_logs WHERE created_at > now()"
        " UNION ALL SELECT id FROM credit_ledgers WHERE created_at > now()"
    )
    assert (backwards, future) == ([], [])
    delivered = OrderStatusLog.objects.filter(to_status=OrderStatus.DELIVERED)
    assert delivered.count() == Order.objects.filter(status__in=INVOICED).count()


def test_oldest_due_is_paid_first(trade: Path) -> None:
    """No order on credit is paid while an earlier due of the account, delivered by then, is open."""
    assert (
        sql.fetch(
            "SELECT a.id FROM payment_allocations a JOIN orders o ON o.id = a.order_id"
            " JOIN orders e ON e.retailer_id = o.retailer_id AND e.vendor_id = o.vendor_id"
            " AND e.payment_terms = 'CREDIT' AND e.due_date < o.due_date AND e.delivered_at < a.created_at"
            " WHERE o.payment_terms = 'CREDIT' AND e.total > (SELECT coalesce(sum(p.amount), 0)"
            " FROM payment_allocations p WHERE p.order_id = e.id AND p.reversed_at IS NULL"
            " AND p.created_at <= a.created_at)"
        )
        == []
    )


def test_no_credit_was_given_on_hold(trade: Path) -> None:
    """No order on credit was placed while a due of the shop was more than 30 days late."""
    assert (
        sql.fetch(
            "SELECT o.id FROM orders o JOIN orders e ON e.retailer_id = o.retailer_id"
            " AND (e.due_date + 31)::timestamp AT TIME ZONE 'Asia/Kathmandu' <= o.created_at"
            " WHERE o.payment_terms = 'CREDIT' AND e.total > (SELECT coalesce(sum(p.amount), 0)"
            " FROM payment_allocations p WHERE p.order_id = e.id AND p.reversed_at IS NULL"
            " AND p.created_at <= o.created_at)"
        )
        == []
    )


def test_overdue_is_what_is_late(trade: Path) -> None:
    late = sql.fetch(
        "SELECT id FROM orders WHERE due_amount > 0"
        " AND due_date < (now() AT TIME ZONE 'Asia/Kathmandu')::date ORDER BY id"
    )
    shown = Order.objects.filter(payment_status=PaymentStatus.OVERDUE).order_by("id")

    assert [pk for (pk,) in late] == list(shown.values_list("pk", flat=True))


def test_exposure_recorded_is_what_the_ledger_says(trade: Path) -> None:
    """Debt at the placing of an order plus what was promised then, recomputed from other tables."""
    assert (
        sql.fetch(
            "SELECT o.id FROM orders o WHERE o.payment_terms = 'CREDIT' AND o.account_exposure <>"
            " (SELECT coalesce(sum(l.amount), 0) FROM credit_ledgers l WHERE l.retailer_id = o.retailer_id"
            " AND l.vendor_id = o.vendor_id AND l.created_at <= o.created_at)"
            " + (SELECT sum(p.total) FROM orders p WHERE p.retailer_id = o.retailer_id"
            " AND p.vendor_id = o.vendor_id AND p.payment_terms = 'CREDIT' AND p.created_at <= o.created_at"
            " AND coalesce(p.delivered_at, p.cancelled_at, 'infinity') > o.created_at)"
        )
        == []
    )


def test_open_questions_can_still_be_answered(trade: Path) -> None:
    late = sql.fetch(
        "SELECT id FROM vendor_order_acceptances WHERE status = 'PENDING' AND deadline < now()"
    )
    pending = VendorOrderAcceptance.objects.filter(status=AcceptanceStatus.PENDING).count()

    assert late == []
    assert pending == Order.objects.filter(status=OrderStatus.PENDING).count() > 0
    assert Job.objects.open().filter(kind="orders.route").count() > 0


def test_quantities_are_within_the_products_range(trade: Path) -> None:
    assert OrderItem.objects.count() > 1000
    assert (
        sql.fetch(
            "SELECT i.id FROM order_items i JOIN products p ON p.id = i.product_id"
            " WHERE i.quantity NOT BETWEEN p.min_quantity AND p.max_quantity"
        )
        == []
    )


def test_some_shops_may_not_trade(trade: Path) -> None:
    assert Retailer.objects.filter(is_approved=False).count() == 3
    assert Retailer.objects.filter(is_blocked=True).count() == 2
    assert not Order.objects.filter(retailer__is_approved=False).exists()
    assert Retailer.objects.filter(is_approved=False, credit_limit__gt=0).count() == 0


def test_triggers_are_back(trade: Path) -> None:
    assert (
        sql.fetch("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'D'") == []
    )


def test_logins_work_and_are_private(trade: Path) -> None:
    written = json.loads(trade.read_text())

    assert trade.stat().st_mode & 0o777 == 0o600
    assert len(written["retailers"]) == 25
    assert len(written["vendors"]) == 4
    for login in (
        written["admin"],
        written["operator"],
        written["retailers"][0],
        written["vendors"][-1],
    ):
        assert User.objects.get(phone=login["phone"]).check_password(login["password"])
    assert Retailer.objects.get(pk=written["retailers"][0]["retailer_id"]).is_approved


def test_second_load_changes_nothing(
    options: history.Options, trade: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = [
        m.objects.count() for m in (User, Order, CreditLedger, Product, Vendor, VendorProduct)
    ]
    before = (counts, trade.read_bytes())

    assert not load.load(options, trade, quietly)
    assert command_line.main(["load", "--logins", str(trade), "--data", str(options.data)]) == 0

    counts = [
        m.objects.count() for m in (User, Order, CreditLedger, Product, Vendor, VendorProduct)
    ]
    assert (counts, trade.read_bytes()) == before
    assert "nothing was changed" in capsys.readouterr().out


def test_refuses_a_database_with_other_orders(
    trade: Path, options: history.Options, capsys: pytest.CaptureFixture[str]
) -> None:
    User.objects.filter(phone=logins.ADMIN_PHONE).update(phone="+9779811111111")

    with pytest.raises(load.OtherTrade):
        load.load(options, trade, quietly)
    assert command_line.main(["load", "--data", str(options.data)]) == 1
    assert "not the demo's" in capsys.readouterr().out


def test_statistics_are_what_the_job_computes(trade: Path) -> None:
    figures = (
        "rating",
        "orders_offered",
        "orders_accepted",
        "orders_delivered",
        "fulfilment_hours",
    )
    loaded = list(Vendor.objects.order_by("pk").values_list("pk", *figures))

    for vendor_id, *_ in loaded:
        tasks.refresh_statistics(vendor_id=vendor_id)

    assert list(Vendor.objects.order_by("pk").values_list("pk", *figures)) == loaded


def test_business_goes_on_from_here(trade: Path) -> None:
    """Orders of every open state are taken on by the services, and no rule breaks."""
    s = OrderStatus
    verbs = {
        s.PLACED: lambda pk: services.route_order(order_id=pk),
        s.PENDING: lambda pk: services.accept_order(order_id=pk, actor=SYSTEM),
        s.ACCEPTED: lambda pk: services.pack_order(order_id=pk, actor=SYSTEM),
        s.PACKING: lambda pk: services.dispatch_order(order_id=pk, actor=SYSTEM),
        s.DISPATCHED: lambda pk: services.send_out_order(order_id=pk, actor=SYSTEM),
        s.OUT_FOR_DELIVERY: lambda pk: services.deliver_order(order_id=pk, actor=SYSTEM),
        s.DELIVERED: lambda pk: services.complete_order(order_id=pk, actor=SYSTEM),
    }
    open_orders = list(Order.objects.open().order_by("pk").values_list("pk", "status"))

    for pk, status in open_orders:
        verbs[OrderStatus(status)](pk)

    assert {status for _, status in open_orders} == set(verbs)
    assert [(r.invariant.name, r.examples) for r in run_invariants() if r.violations] == []


def test_every_shop_has_a_score_and_its_explanation(trade: Path) -> None:
    found = load.bands()

    assert sum(shops for _, shops, *_ in found) == Retailer.objects.count()
    assert all(shops == explained for _, shops, explained, *_ in found)
    assert len(found) >= 3
    assert (
        not Job.objects.filter(kind__startswith="payments.rescore").exclude(state="done").exists()
    )
