"""Random trade against a small model: balances, stock, states and error codes agree after every step."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from credit import services as credit
from credit.models import CreditAccount, Retailer
from khaacho.exceptions import KhaachoError
from khaacho.money import round_money
from orders import services as orders
from orders.enums import INVOICED, NEXT, UNDELIVERED, UNDISPATCHED, OrderStatus, PaymentTerms
from orders.models import Order, OrderStatusLog
from orders.services import Line, OrderRequest
from payments import services as payments
from payments.enums import PaymentMethod
from payments.models import Payment
from tests.factories import (
    make_actor,
    make_offer,
    make_product,
    make_retailer,
    retailer_actor,
    vendor_actor,
)
from vendors.models import VendorProduct

S = OrderStatus
PRICES = (Decimal("10.00"), Decimal("9.50"))
STOCK = 15
VERBS: dict[OrderStatus, Callable[..., Order]] = {
    S.ACCEPTED: orders.accept_order,
    S.PACKING: orders.pack_order,
    S.DISPATCHED: orders.dispatch_order,
    S.OUT_FOR_DELIVERY: orders.send_out_order,
    S.DELIVERED: orders.deliver_order,
}


@dataclass
class ModelOrder:
    vendor: int
    quantity: int
    terms: PaymentTerms
    total: Decimal
    agreed: Decimal
    status: OrderStatus = S.PLACED
    asked: set[int] = field(default_factory=set)
    paid: Decimal = Decimal(0)
    steps: int = 1


@dataclass
class ModelPayment:
    vendor: int
    amount: Decimal
    method: PaymentMethod
    live: bool = True
    shares: dict[int, Decimal] = field(default_factory=dict)

    @property
    def rest(self) -> Decimal:
        return self.amount - sum(self.shares.values()) if self.live else Decimal(0)


def code_of(call: Callable[[], object]) -> str:
    """Run a verb in a savepoint and return "ok" or its error code."""
    try:
        with transaction.atomic():
            call()
    except KhaachoError as error:
        return error.code
    return "ok"


class Trade(RuleBasedStateMachine):
    """One shop, two vendors with one product at different prices, and a model of all of it."""

    @initialize()
    def begin(self) -> None:
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.shop = make_retailer(credit_limit=400)
        product = make_product()
        self.offers = [make_offer(product=product, price=p, stock=STOCK) for p in PRICES]
        self.staff = make_actor()
        self.limit = Decimal(400)
        self.stock = [STOCK, STOCK]
        self.orders: dict[int, ModelOrder] = {}
        self.payments: dict[int, ModelPayment] = {}
        for vendor, quantity, terms in (
            (0, 2, PaymentTerms.CREDIT),
            (0, 3, PaymentTerms.CASH),
            (0, 1, PaymentTerms.CREDIT),
            (1, 2, PaymentTerms.CREDIT),
        ):
            self.place(vendor=vendor, quantity=quantity, terms=terms)
            self.hurry(max(self.orders), S.DELIVERED)
        self.place(vendor=1, quantity=1, terms=PaymentTerms.CREDIT)
        self.hurry(max(self.orders), S.DISPATCHED)

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    # what the model says

    def reserved_stock(self, vendor: int) -> int:
        return sum(
            o.quantity
            for o in self.orders.values()
            if o.vendor == vendor and o.status in UNDISPATCHED
        )

    def reserved_credit(self, vendor: int | None = None) -> Decimal:
        return sum(
            (
                o.total
                for o in self.orders.values()
                if o.terms == PaymentTerms.CREDIT
                and o.status in UNDELIVERED
                and vendor in (None, o.vendor)
            ),
            Decimal(0),
        )

    def balance(self, vendor: int | None = None) -> Decimal:
        debits = sum(
            o.total
            for o in self.orders.values()
            if o.status in INVOICED and vendor in (None, o.vendor)
        )
        paid = sum(
            p.amount for p in self.payments.values() if p.live and vendor in (None, p.vendor)
        )
        return Decimal(debits - paid)

    def available(self, vendor: int) -> int:
        return self.stock[vendor] - self.reserved_stock(vendor)

    def fits(self, amount: Decimal) -> bool:
        return self.balance() + self.reserved_credit() + amount <= self.limit

    # what people do

    @rule(
        vendor=st.integers(0, 1),
        quantity=st.integers(1, 8),
        terms=st.sampled_from(PaymentTerms),
    )
    def place(self, vendor: int, quantity: int, terms: PaymentTerms) -> None:
        total = PRICES[vendor] * quantity
        expected = "ok"
        if self.available(vendor) < quantity:
            expected = "insufficient_stock"
        elif terms == PaymentTerms.CREDIT and not self.fits(total):
            expected = "credit_limit_exceeded"
        request = OrderRequest(
            retailer_id=self.shop.pk,
            vendor_id=self.offers[vendor].vendor_id,
            payment_terms=terms,
            lines=(Line(self.offers[vendor].product_id, quantity),),
        )

        code = code_of(lambda: orders.place_order(request, actor=retailer_actor(self.shop)))

        assert code == expected
        if code == "ok":
            made = Order.objects.latest("pk")
            assert made.total == total
            self.orders[made.pk] = ModelOrder(vendor, quantity, terms, total, total)

    def pick(self, data: st.DataObject) -> tuple[int, ModelOrder]:
        pk = data.draw(st.sampled_from(sorted(self.orders)))
        return pk, self.orders[pk]

    def legal(self, order: ModelOrder, to: OrderStatus) -> str:
        return "ok" if to in NEXT[order.status] else "illegal_transition"

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def route(self, data: st.DataObject) -> None:
        pk, order = self.pick(data)
        orders.route_order(order_id=pk)
        if order.status == S.PLACED:
            self.ask_next(order, first=not order.asked)

    def ask_next(self, order: ModelOrder, *, first: bool) -> None:
        """The named vendor is asked first; after that whoever else can serve it for no more."""
        other = 1 - order.vendor
        price = PRICES[other] * order.quantity
        if first:
            order.asked.add(order.vendor)
        elif (
            other not in order.asked
            and self.available(other) >= order.quantity
            and price <= order.agreed
            and (
                order.terms == PaymentTerms.CASH
                or self.balance() + self.reserved_credit() - order.total + price <= self.limit
            )
        ):
            order.vendor, order.total = other, price
            order.asked.add(other)
        else:
            if order.status == S.PENDING:
                self.step(order, S.PLACED)
            return
        if order.status == S.PLACED:
            self.step(order, S.PENDING)

    def step(self, order: ModelOrder, to: OrderStatus) -> None:
        order.status = to
        order.steps += 1

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        pk, order = self.pick(data)
        actor = vendor_actor(self.offers[order.vendor].vendor)
        code = code_of(lambda: orders.reject_order(order_id=pk, reason="sold out", actor=actor))
        assert code == self.legal(order, S.ACCEPTED)
        if code == "ok":
            self.ask_next(order, first=False)

    @precondition(lambda self: self.orders)
    @rule(
        data=st.data(),
        to=st.sampled_from(sorted(VERBS)),
        again=st.booleans(),
    )
    def work(self, data: st.DataObject, to: OrderStatus, again: bool) -> None:
        """A vendor's verb, sometimes tried again: the second time it is a conflict."""
        pk, order = self.pick(data)
        call = VERBS[to]
        actor = vendor_actor(self.offers[order.vendor].vendor)
        expected = self.legal(order, to)

        assert code_of(lambda: call(order_id=pk, actor=actor)) == expected
        if expected == "ok":
            self.step(order, to)
            if to == S.DISPATCHED:
                self.stock[order.vendor] -= order.quantity
        if again:
            assert code_of(lambda: call(order_id=pk, actor=actor)) == "illegal_transition"

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), goal=st.sampled_from([S.DISPATCHED, S.DELIVERED, S.DELIVERED]))
    def rush(self, data: st.DataObject, goal: OrderStatus) -> None:
        """One order straight towards the shop, so that money is owed often."""
        self.hurry(self.pick(data)[0], goal)

    def hurry(self, pk: int, goal: OrderStatus) -> None:
        order = self.orders[pk]
        way = tuple(VERBS)[: tuple(VERBS).index(goal) + 1]
        if order.status == S.PLACED and not order.asked:
            orders.route_order(order_id=pk)
            self.ask_next(order, first=True)
        if order.status not in (S.PENDING, *way[:-1]):
            return
        for to in way[(S.PENDING, *way).index(order.status) :]:
            VERBS[to](order_id=pk, actor=self.staff)
            self.step(order, to)
            if to == S.DISPATCHED:
                self.stock[order.vendor] -= order.quantity

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        pk, order = self.pick(data)
        actor = retailer_actor(self.shop)
        code = code_of(lambda: orders.complete_order(order_id=pk, actor=actor))
        assert code == self.legal(order, S.COMPLETED)
        if code == "ok":
            self.step(order, S.COMPLETED)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), by_shop=st.booleans())
    def cancel(self, data: st.DataObject, by_shop: bool) -> None:
        pk, order = self.pick(data)
        actor = retailer_actor(self.shop) if by_shop else self.staff
        expected = self.legal(order, S.CANCELLED)
        if by_shop and order.status not in UNDISPATCHED:
            expected = "illegal_transition"

        code = code_of(lambda: orders.cancel_order(order_id=pk, reason="no", actor=actor))

        assert code == expected
        if code == "ok":
            if order.status not in UNDISPATCHED:
                self.stock[order.vendor] += order.quantity
            self.step(order, S.CANCELLED)

    def owed(self, vendor: int) -> Decimal:
        return sum(
            (
                o.total - o.paid
                for o in self.orders.values()
                if o.vendor == vendor and o.status in INVOICED
            ),
            Decimal(0),
        )

    @rule(
        vendor=st.integers(0, 1),
        percent=st.sampled_from([0, 20, 50, 80, 100, 130]),
        extra=st.decimals("0.01", "5", places=2),
        method=st.sampled_from(PaymentMethod),
    )
    def pay(self, vendor: int, percent: int, extra: Decimal, method: PaymentMethod) -> None:
        """Part of a due, several dues, or more than is owed."""
        amount = round_money(self.owed(vendor) * percent / 100) + extra
        payment = payments.record_payment(
            retailer_id=self.shop.pk,
            vendor_id=self.offers[vendor].vendor_id,
            amount=amount,
            method=method,
            actor=self.staff,
        )
        made = ModelPayment(vendor, amount, method)
        self.payments[payment.pk] = made
        self.share(made)

    def share(self, payment: ModelPayment) -> None:
        """Oldest due first. All terms are alike, so that cash comes before credit, then the older."""
        dues = [
            (pk, o)
            for pk, o in self.orders.items()
            if o.vendor == payment.vendor and o.status in INVOICED and pk not in payment.shares
        ]
        for pk, order in sorted(dues, key=lambda d: (d[1].terms == PaymentTerms.CREDIT, d[0])):
            part = min(payment.rest, order.total - order.paid)
            if part > 0:
                payment.shares[pk] = part
                order.paid += part

    @rule(amount=st.sampled_from([Decimal(0), Decimal(-5)]), vendor=st.integers(0, 1))
    def pay_nothing(self, amount: Decimal, vendor: int) -> None:
        code = code_of(
            lambda: payments.record_payment(
                retailer_id=self.shop.pk,
                vendor_id=self.offers[vendor].vendor_id,
                amount=amount,
                method=PaymentMethod.CASH,
                actor=self.staff,
            )
        )
        assert code == "invalid"

    @precondition(lambda self: self.payments)
    @rule(data=st.data(), bounced=st.booleans())
    def reverse(self, data: st.DataObject, bounced: bool) -> None:
        pk = data.draw(st.sampled_from(sorted(self.payments)))
        payment = self.payments[pk]
        expected = "ok"
        if not payment.live:
            expected = "not_reversible"
        elif bounced and payment.method != PaymentMethod.CHEQUE:
            expected = "invalid"

        code = code_of(
            lambda: payments.reverse_payment(
                payment_id=pk, reason="error", bounced=bounced, actor=self.staff
            )
        )

        assert code == expected
        if code == "ok":
            for order_pk, part in payment.shares.items():
                self.orders[order_pk].paid -= part
            payment.live = False

    @rule(vendor=st.integers(0, 1))
    def use_advances(self, vendor: int) -> None:
        payments.apply_advances(retailer_id=self.shop.pk, vendor_id=self.offers[vendor].vendor_id)
        for pk in sorted(self.payments):
            if self.payments[pk].live and self.payments[pk].vendor == vendor:
                self.share(self.payments[pk])

    @rule(limit=st.integers(0, 600))
    def change_limit(self, limit: int) -> None:
        credit.change_limit(
            retailer_id=self.shop.pk, new_limit=Decimal(limit), reason="review", actor=self.staff
        )
        self.limit = Decimal(limit)

    # what must be true after every step

    @invariant()
    def stock_agrees(self) -> None:
        for i, offer in enumerate(VendorProduct.objects.order_by("pk")):
            assert (offer.stock, offer.reserved) == (self.stock[i], self.reserved_stock(i))

    @invariant()
    def credit_agrees(self) -> None:
        shop = Retailer.objects.get(pk=self.shop.pk)
        assert (shop.outstanding_debt, shop.reserved_credit) == (
            self.balance(),
            self.reserved_credit(),
        )
        for account in CreditAccount.objects.all():
            vendor = 0 if account.vendor_id == self.offers[0].vendor_id else 1
            assert (account.balance, account.reserved) == (
                self.balance(vendor),
                self.reserved_credit(vendor),
            )

    @invariant()
    def orders_agree(self) -> None:
        for order in Order.objects.all():
            model = self.orders[order.pk]
            assert order.status == model.status
            assert (order.total, order.paid_amount) == (model.total, model.paid)
            assert order.vendor_id == self.offers[model.vendor].vendor_id
            if model.status in INVOICED and model.paid == model.total:
                assert order.payment_status == "PAID"
        for pk, model in self.orders.items():
            assert OrderStatusLog.objects.filter(order_id=pk).count() == model.steps

    @invariant()
    def payments_agree(self) -> None:
        for payment in Payment.objects.all():
            model = self.payments[payment.pk]
            assert payment.amount - payment.allocated_amount == (
                model.rest if model.live else payment.amount
            )

    @invariant()
    def the_database_agrees(self) -> None:
        with transaction.get_connection().cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")


@pytest.mark.django_db
def test_trade_agrees_with_its_model():
    run_state_machine_as_test(
        Trade,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
