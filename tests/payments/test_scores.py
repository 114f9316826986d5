"""Scoring a shop: its facts, the history, what makes it happen, and two at once."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from credit import selectors
from credit import services as credit
from credit.models import CreditScore, Retailer
from credit.scoring import V1, Facts, Invoice, score
from khaacho import events, jobs, sql
from khaacho.actors import SYSTEM
from khaacho.enums import Queue
from khaacho.exceptions import Forbidden, NotFound
from khaacho.models import Job
from orders import services as orders
from orders.models import Order
from orders.services import settlement
from payments import scores, services, standing, tasks
from payments.enums import PaymentMethod
from tests.api.trade import queries
from tests.factories import (
    advance,
    backdate_due,
    make_offer,
    make_order,
    make_retailer,
    retailer_actor,
    vendor_actor,
)
from tests.races import crowd

pytestmark = pytest.mark.django_db
TODAY = timezone.localdate


def deliver(shop, price=100, **kind):
    return advance(make_order(shop, make_offer(price=price), **kind), "DELIVERED")


def pay(order, amount=None, method=PaymentMethod.CHEQUE):
    return services.record_payment(
        retailer_id=order.retailer_id,
        vendor_id=order.vendor_id,
        amount=Decimal(amount or order.total),
        method=method,
        actor=SYSTEM,
    )


def facts_of(shop) -> Facts:
    return standing.facts([shop.pk], V1)[shop.pk]


def rescored(shop) -> list[CreditScore]:
    scores.rescore(retailer_ids=[shop.pk])
    return list(CreditScore.objects.filter(retailer=shop).order_by("pk"))


def move(table: str, column: str, pk: int, days: int) -> None:
    """Let something have happened days earlier."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(
            f"UPDATE {table} SET {column} = {column} - make_interval(days => %s) WHERE id = %s",
            [days, pk],
        )
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


# Facts


def test_facts_of_a_stranger():
    assert facts_of(make_retailer()) == Facts(as_of=TODAY())


def test_facts_of_an_unpaid_invoice():
    shop = make_retailer(credit_limit=1000)
    order = deliver(shop, price=250)
    backdate_due(order, 40)
    assert facts_of(shop) == Facts(
        as_of=TODAY(),
        invoices=(
            Invoice(TODAY() - timedelta(days=10), None, order.order_number, Decimal("250.00")),
        ),
        utilisation=Decimal("0.2500"),
        orders=1,
        active_periods=1,
        customer_since=TODAY(),
    )


def test_an_invoice_is_settled_on_the_day_of_its_last_live_allocation():
    shop = make_retailer()
    order = deliver(shop)
    first = pay(order, 40)
    assert facts_of(shop).invoices[0].left == 60
    second = pay(order, 60)
    move("payment_allocations", "created_at", first.allocations.get().pk, 2)
    assert facts_of(shop).invoices == (Invoice(order.due_date, TODAY()),)
    move("payment_allocations", "created_at", second.allocations.get().pk, 5)
    assert facts_of(shop).invoices == (Invoice(order.due_date, TODAY() - timedelta(days=2)),)
    services.reverse_payment(payment_id=first.pk, reason="wrong", actor=SYSTEM)
    assert facts_of(shop).invoices[0].left == 40


def test_what_was_taken_back_settles_nothing():
    shop = make_retailer()
    order = deliver(shop)
    services.reverse_payment(payment_id=pay(order).pk, reason="wrong", actor=SYSTEM)
    move("payment_allocations", "created_at", pay(order).allocations.get().pk, 3)
    assert facts_of(shop).invoices == (Invoice(order.due_date, TODAY() - timedelta(days=3)),)


def test_old_invoices_are_left_out_unless_they_are_owed():
    shop = make_retailer()
    paid, owed = deliver(shop), deliver(shop)
    pay(paid)
    for order in (paid, owed):
        backdate_due(order, 30 + 730)
    assert [each.number for each in facts_of(shop).invoices] == [owed.order_number]


@pytest.mark.parametrize(("by", "disputes"), [("shop", 1), ("vendor", 0), ("system", 0)])
def test_a_cancellation_after_acceptance_is_the_shops_dispute_when_it_cancelled(by, disputes):
    shop = make_retailer()
    order = advance(make_order(shop, make_offer()), "ACCEPTED")
    actor = {"shop": retailer_actor(shop), "vendor": vendor_actor(order.vendor), "system": SYSTEM}
    orders.cancel_order(order_id=order.pk, reason="no", actor=actor[by])
    assert (facts_of(shop).orders, facts_of(shop).disputes) == (1, disputes)


def test_a_cancellation_before_acceptance_is_nobodys_dispute():
    shop = make_retailer()
    order = make_order(shop, make_offer())
    orders.cancel_order(order_id=order.pk, reason="no", actor=retailer_actor(shop))
    assert facts_of(shop).disputes == 0


def test_a_bounced_cheque_is_a_dispute_and_is_remembered_and_a_mistake_is_not():
    shop = make_retailer()
    payment = pay(deliver(shop))
    services.reverse_payment(payment_id=payment.pk, reason="typo", actor=SYSTEM)
    assert (facts_of(shop).disputes, facts_of(shop).bounced_on) == (0, ())
    payment = pay(Order.objects.get())
    services.reverse_payment(payment_id=payment.pk, reason="no funds", bounced=True, actor=SYSTEM)
    assert (facts_of(shop).disputes, facts_of(shop).bounced_on) == (1, (TODAY(),))


def test_utilisation_takes_the_limit_of_each_day():
    shop = make_retailer(credit_limit=1000)
    order = deliver(shop, price=500)
    move("orders", "created_at", order.pk, 3)
    move("credit_ledgers", "created_at", order.ledger_entry_id, 3)
    change = credit.change_limit(
        retailer_id=shop.pk, new_limit=Decimal(2000), reason="grows", actor=SYSTEM
    )
    assert facts_of(shop).utilisation == Decimal("0.4375")  # 1/2, 1/2, 1/2, and 1/4 today
    move("credit_limit_changes", "decided_at", change.pk, 2)
    assert facts_of(shop).utilisation == Decimal("0.3125")


def test_facts_of_many_cost_as_many_statements_as_of_one():
    shops = [make_retailer() for _ in range(4)]
    for shop in shops:
        pay(deliver(shop))
    one = queries(lambda: standing.facts([shops[0].pk], V1))
    many = queries(lambda: standing.facts([shop.pk for shop in shops], V1))
    assert (len(one), len(many)) == (7, 7)


# History


def test_the_first_scoring_is_kept_and_shown():
    shop = make_retailer()
    [kept] = rescored(shop)
    shop.refresh_from_db()
    assert (kept.score, kept.version, kept.is_provisional, kept.cap) == (630, "v1", True, None)
    assert kept.score == shop.credit_score
    assert score(Facts.from_json(kept.inputs), V1).as_json() == kept.components


def test_a_scoring_that_shows_the_same_leaves_no_row():
    shop = make_retailer()
    rescored(shop)
    assert len(rescored(shop)) == 1


def test_a_scoring_that_shows_anything_else_is_kept():
    shop = make_retailer()
    order = deliver(shop)
    backdate_due(order, 61)
    [first] = rescored(shop)
    assert first.reason == "The oldest due is 31 days late (more than 30): at most 649"
    backdate_due(order, 1)
    _, second = rescored(shop)
    assert second.reason == "The oldest due is 32 days late (more than 30): at most 649"
    shop.refresh_from_db()
    assert shop.credit_score == second.score


def without_savepoints(found: list[str]) -> list[str]:
    return [each for each in found if "SAVEPOINT" not in each]


def test_scoring_many_costs_as_many_statements_as_one():
    shops = [make_retailer() for _ in range(4)]
    one = queries(lambda: scores.rescore(retailer_ids=[shops[0].pk]))
    many = queries(lambda: scores.rescore(retailer_ids=[shop.pk for shop in shops[1:]]))
    assert len(without_savepoints(one)) == len(without_savepoints(many)) == 10


def test_nobody_is_scored_for_an_unknown_id():
    assert scores.rescore(retailer_ids=[0]) == {}


def test_a_move_into_another_band_is_told_and_another_score_within_it_is_not(monkeypatch):
    kind = "CreditScoreChanged>somebody"
    monkeypatch.setitem(events._subscribers, "CreditScoreChanged", [kind])
    monkeypatch.setitem(jobs.kinds.known, kind, jobs.Kind(kind, "-", Queue.CREDIT_SCORE, 60, 90))
    shop = make_retailer()
    order = deliver(shop)
    rescored(shop)
    backdate_due(order, 31)
    [first, second] = rescored(shop)
    assert (first.score != second.score, first.band, second.band) == (True, "good", "good")
    assert not Job.objects.filter(kind=kind).exists()
    backdate_due(order, 91)
    [*_, kept] = rescored(shop)
    fact = {
        "retailer_id": shop.pk,
        "old_score": second.score,
        "new_score": kept.score,
        "old_band": "good",
        "new_band": "very_poor",
    }
    assert [job.args["event"] for job in Job.objects.filter(kind=kind)] == [fact]


# What makes it happen


def open_scorings() -> list[str]:
    return sorted(
        Job.objects.filter(kind="payments.rescore", state="queued").values_list(
            "dedupe_key", flat=True
        )
    )


def test_deliveries_payments_reversals_and_closings_have_the_shop_scored_once():
    shop, other = make_retailer(), make_retailer()
    orders_of = [deliver(shop) for _ in range(2)]
    jobs.run_due(500)
    assert CreditScore.objects.filter(retailer=shop).exists()
    assert open_scorings() == []
    for act in (
        lambda: pay(orders_of[0]),
        lambda: services.reverse_payment(
            payment_id=orders_of[0].allocations.get().payment_id, reason="x", actor=SYSTEM
        ),
        lambda: orders.complete_order(order_id=orders_of[1].pk, actor=SYSTEM),
        lambda: orders.cancel_order(
            order_id=make_order(shop, make_offer()).pk, reason="x", actor=SYSTEM
        ),
    ):
        act()
        act_handlers()
        assert open_scorings() == [f"score:{shop.pk}"]
        Job.objects.filter(kind="payments.rescore").delete()
    assert not CreditScore.objects.filter(retailer=other).exists()


def act_handlers() -> None:
    """Do what was published, but not the scoring that follows."""
    for pk in Job.objects.filter(state="queued", kind__contains=">payments").values_list(
        "pk", flat=True
    ):
        jobs.run(pk)


def test_dues_past_their_date_have_their_shops_scored():
    shop = make_retailer()
    for _ in range(3):
        backdate_due(deliver(shop), 31)
    Job.objects.all().delete()
    assert orders.mark_overdue(batch=2) == 3
    assert Job.objects.filter(kind__startswith="DuesOverdue>").count() == 2  # one a batch
    act_handlers()
    assert open_scorings() == [f"score:{shop.pk}"]


def test_the_daily_job_marks_what_is_late():
    order = deliver(make_retailer())
    backdate_due(order, 31)
    job = jobs.enqueue("orders.mark_overdue")
    assert jobs.run(job) is True
    order.refresh_from_db()
    assert order.payment_status == "OVERDUE"


def test_staff_alone_may_ask_for_a_scoring():
    shop = make_retailer()
    with pytest.raises(Forbidden):
        credit.ask_for_scoring(retailer_id=shop.pk, actor=retailer_actor(shop))
    with pytest.raises(NotFound):
        credit.ask_for_scoring(retailer_id=0, actor=SYSTEM)
    credit.ask_for_scoring(retailer_id=shop.pk, actor=SYSTEM)
    jobs.run_due(50)
    assert CreditScore.objects.filter(retailer=shop).exists()


@pytest.mark.parametrize(("late", "marked"), [(-1, 0), (0, 0), (1, 1)])
def test_a_due_is_overdue_from_the_day_after_in_the_daily_job_and_in_settlement_alike(late, marked):
    shop = make_retailer()
    order = deliver(shop)
    backdate_due(order, 30 + late)
    assert orders.mark_overdue() == marked
    order.refresh_from_db()
    status = order.payment_status
    pay(order, 1)
    order.refresh_from_db()
    assert (status, order.payment_status) == (
        ("OVERDUE", "OVERDUE") if marked else ("PENDING", "PARTIAL")
    )


@pytest.mark.parametrize(
    ("moment", "day"), [("18:14:59.9", "2026-07-15"), ("18:15:00", "2026-07-16")]
)
def test_the_day_begins_at_midnight_in_kathmandu(moment, day):
    """Where the daily job and settlement take their day from, asked of another moment than now."""
    assert settlement.TODAY in settlement.MARK_OVERDUE
    asked = settlement.TODAY.replace("now()", "%s::timestamptz")
    assert sql.fetch_one(f"SELECT {asked}::text", [f"2026-07-15 {moment}+00"]) == (day,)


def test_the_night_scores_every_approved_shop_blocked_ones_too():
    shops = [make_retailer() for _ in range(3)]
    credit.block_retailer(retailer_id=shops[0].pk, reason="x", actor=SYSTEM)
    make_retailer(approved=False)
    tasks.rescore_all()
    jobs.run_due(100)
    assert sorted(CreditScore.objects.values_list("retailer_id", flat=True)) == sorted(
        shop.pk for shop in shops
    )


def test_the_night_is_divided_into_chunks(monkeypatch):
    shops = sorted(make_retailer().pk for _ in range(5))
    monkeypatch.setattr(tasks, "CHUNK", 2)
    tasks.rescore_all()
    made = Job.objects.filter(kind="payments.rescore_chunk").order_by("pk")
    assert [job.args["retailer_ids"] for job in made] == [shops[:2], shops[2:4], shops[4:]]


# At once


@pytest.mark.django_db(transaction=True)
def test_many_scorings_at_once_leave_one_row_and_the_shop_shows_the_latest():
    shop = make_retailer()
    deliver(shop)
    assert crowd(lambda: scores.rescore(retailer_ids=[shop.pk]), 6) == {"ok": 6}
    assert CreditScore.objects.filter(retailer=shop).count() == 1


@pytest.mark.django_db(transaction=True)
def test_scorings_between_payments_end_with_all_that_was_paid():
    shop = make_retailer()
    due = [deliver(shop) for _ in range(4)]
    for order in due:
        backdate_due(order, 31)
    calls = []
    for order in due:
        calls += [lambda order=order: pay(order), lambda: scores.rescore(retailer_ids=[shop.pk])]
    assert crowd(calls, len(calls)) == {"ok": 8}
    scores.rescore(retailer_ids=[shop.pk])
    latest = CreditScore.objects.filter(retailer=shop).latest("created_at", "pk")
    assert latest.score == Retailer.objects.get(pk=shop.pk).credit_score
    facts = scores.known(shop.pk).facts
    assert facts.settled_count == 4
    made = score(facts, V1)  # a scoring that shows the same as the one before leaves no row
    assert (latest.score, latest.components) == (made.score, made.as_json())


# What is read


def test_what_was_never_scored_is_read_as_a_stranger():
    shop = make_retailer()
    found = selectors.scoring(SYSTEM, shop.pk)
    assert (found.kept, found.made.score, found.made.is_provisional) == (None, 630, True)


def test_advice_is_of_the_moment():
    shop = make_retailer()
    order = deliver(shop)
    backdate_due(order, 70)
    rescored(shop)
    [said] = scores.known(shop.pk).advice
    assert (said.invoice.number, said.days_late) == (order.order_number, 40)
    pay(order)
    assert scores.known(shop.pk).advice == ()
