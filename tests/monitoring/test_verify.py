"""Each invariant finds the fault planted for it, and nothing in a world without faults."""

import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from credit.enums import EntryType
from credit.models import CreditAccount, CreditLedger, Retailer
from khaacho.enums import Queue, Role
from khaacho.models import Alert, AuditLog, Job, User
from monitoring import tasks
from monitoring.invariants import INVARIANTS, altered_entries, run_invariants
from orders.enums import AcceptanceStatus, OrderStatus, PaymentStatus, PaymentTerms
from orders.models import FiscalYear, InvoiceCounter, Order, OrderItem, VendorOrderAcceptance
from payments import scores
from payments.enums import PaymentMethod, PaymentState
from payments.models import Payment, PaymentAllocation
from vendors.models import Product, Vendor, VendorProduct

pytestmark = pytest.mark.django_db
PLACE = {"municipality": "Birgunj", "district": "Parsa", "province": "Madhesh"}


@dataclass
class World:
    """One shop at one vendor with an order in each kind of state, and a second pair beside it."""

    account: CreditAccount
    other_account: CreditAccount
    delivered: Order
    pending: Order
    placed: Order
    cancelled: Order
    payment: Payment
    reversed: Payment
    failed: Payment
    offer: VendorProduct
    other_offer: VendorProduct
    ids: dict[str, int] = field(default_factory=dict)


def make_user(number: int, role: Role) -> User:
    return User.objects.create(phone=f"+97798{number:08}", name="Sita", role=role)


def make_account(number: int, product: Product) -> tuple[CreditAccount, VendorProduct]:
    vendor = Vendor.objects.create(
        user=make_user(number, Role.VENDOR),
        business_name="Parsa Traders",
        is_approved=True,
        **PLACE,
    )
    retailer = Retailer.objects.create(
        user=make_user(number + 50, Role.RETAILER),
        shop_name="Shiva Store",
        credit_limit=50_000,
        **PLACE,
    )
    offer = VendorProduct.objects.create(vendor=vendor, product=product, vendor_price=100, stock=50)
    return CreditAccount.objects.create(retailer=retailer, vendor=vendor), offer


def make_order(
    account: CreditAccount,
    offer: VendorProduct,
    quantity: int,
    terms: PaymentTerms,
    *steps: OrderStatus,
) -> Order:
    """Place an order for `quantity` packs of 100.00 + 13 % and take it along `steps`."""
    net = Decimal(100 * quantity)
    total = net * Decimal("1.13")
    exposure = total if terms == PaymentTerms.CREDIT else None
    order = Order.objects.create(
        retailer=account.retailer,
        vendor=account.vendor,
        payment_terms=terms,
        subtotal=net,
        tax_amount=total - net,
        total=total,
        agreed_total=total,
        platform_exposure=exposure,
        platform_limit=50_000,
        account_exposure=exposure,
    )
    OrderItem.objects.create(
        order=order,
        offer=offer,
        product=offer.product,
        product_name="Rice",
        sku=offer.product.sku,
        quantity=quantity,
        unit_price=100,
        tax_rate=13,
        line_total=net,
        tax_amount=total - net,
    )
    for step in steps:
        Order.objects.filter(pk=order.pk).update(
            status=step, cancel_reason="No" if step == OrderStatus.CANCELLED else ""
        )
    order.refresh_from_db()
    return order


def answer(order: Order, status: AcceptanceStatus) -> None:
    now = timezone.now()
    VendorOrderAcceptance.objects.create(
        order=order,
        vendor=order.vendor,
        status=status,
        deadline=now + timedelta(hours=2),
        answered_at=None if status == AcceptanceStatus.PENDING else now,
    )


def post(
    account: CreditAccount, kind: EntryType, amount: Decimal, key: str, **fields: object
) -> int:
    with connection.cursor() as cursor:
        names = ["account_id", "transaction_type", "amount", "key", "reference", *fields]
        cursor.execute(
            f"INSERT INTO credit_ledgers ({', '.join(names)})"
            f" VALUES ({', '.join(['%s'] * len(names))}) RETURNING id",
            [account.pk, kind, amount, key, key, *fields.values()],
        )
        return cursor.fetchone()[0]


def make_payment(account: CreditAccount, amount: int, status: PaymentState) -> Payment:
    payment = Payment.objects.create(
        account=account,
        retailer=account.retailer,
        vendor=account.vendor,
        amount=amount,
        method=PaymentMethod.CHEQUE,
    )
    if status == PaymentState.FAILED:
        Payment.objects.filter(pk=payment.pk).update(payment_status=status)
        return payment
    entry = post(
        account, EntryType.PAYMENT_CREDIT, Decimal(-amount), f"payment:{payment.pk}:credit"
    )
    Payment.objects.filter(pk=payment.pk).update(
        payment_status=PaymentState.PROCESSED, ledger_entry=entry
    )
    if status == PaymentState.REVERSED:
        post(
            account,
            EntryType.REVERSAL,
            Decimal(amount),
            f"entry:{entry}:reversal",
            reverses_id=entry,
        )
        Payment.objects.filter(pk=payment.pk).update(
            payment_status=status, reversed_at=timezone.now(), reversal_reason="bounced"
        )
    return payment


def deliver(order: Order, account: CreditAccount) -> None:
    year = FiscalYear.objects.get(name="2083/84")
    InvoiceCounter.objects.create(vendor=order.vendor, fiscal_year=year, last_number=1)
    Order.objects.filter(pk=order.pk).update(
        status=OrderStatus.DELIVERED,
        ledger_entry=post(account, EntryType.ORDER_DEBIT, order.total, f"order:{order.pk}:debit"),
        invoice_number=f"{order.vendor.code}/2083/84/00001",
        due_date=date(2026, 12, 24),
    )


@pytest.fixture
def world() -> World:
    product = Product.objects.create(sku="RICE-25", name="Rice", category="Rice")
    account, offer = make_account(1, product)
    other_account, other_offer = make_account(2, product)
    for pair in (account, other_account):
        pair.vendor.refresh_from_db()
    s = OrderStatus
    way = (s.PENDING, s.ACCEPTED, s.PACKING, s.DISPATCHED, s.OUT_FOR_DELIVERY)
    delivered = make_order(account, offer, 4, PaymentTerms.CREDIT, *way)
    answer(delivered, AcceptanceStatus.ACCEPTED)
    deliver(delivered, account)
    pending = make_order(account, offer, 2, PaymentTerms.CREDIT, s.PENDING)
    answer(pending, AcceptanceStatus.PENDING)
    placed = make_order(account, offer, 3, PaymentTerms.CASH)
    Job.objects.create(
        queue=Queue.ORDER_ROUTING, kind="orders.route", reference=f"order:{placed.pk}"
    )
    cancelled = make_order(account, offer, 1, PaymentTerms.CASH, s.PENDING, s.CANCELLED)
    VendorProduct.objects.filter(pk=offer.pk).update(reserved=5)
    Retailer.objects.filter(pk=account.retailer_id).update(reserved_credit=pending.total)
    CreditAccount.objects.filter(pk=account.pk).update(reserved=pending.total)
    payment = make_payment(account, 152, PaymentState.PROCESSED)
    Payment.objects.filter(pk=payment.pk).update(allocated_amount=52)
    PaymentAllocation.objects.create(payment=payment, order=delivered, amount=52)
    Order.objects.filter(pk=delivered.pk).update(
        paid_amount=52, payment_status=PaymentStatus.PARTIAL
    )
    reversed_payment = make_payment(account, 70, PaymentState.REVERSED)
    post(account, EntryType.INTEREST_DEBIT, Decimal("3.50"), "interest:1")
    make_payment(other_account, 100, PaymentState.PROCESSED)
    failed = make_payment(account, 30, PaymentState.FAILED)
    scores.rescore(retailer_ids=[other_account.retailer_id])
    execute("SET CONSTRAINTS ALL IMMEDIATE")
    return World(
        account=account,
        other_account=other_account,
        delivered=delivered,
        pending=pending,
        placed=placed,
        cancelled=cancelled,
        payment=payment,
        reversed=reversed_payment,
        failed=failed,
        offer=offer,
        other_offer=other_offer,
    )


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def unguard() -> None:
    """Switch off what keeps faults out: triggers (but the posting one), checks, unique keys."""
    execute(
        """
        DO $$
        DECLARE
            item record;
        BEGIN
            FOR item IN SELECT oid::regclass AS name FROM pg_class
                WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
            LOOP
                EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', item.name);
            END LOOP;
            FOR item IN SELECT conrelid::regclass AS name, conname FROM pg_constraint
                WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'u')
            LOOP
                EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', item.name, item.conname);
            END LOOP;
        END $$
        """,
        "ALTER TABLE credit_ledgers ENABLE TRIGGER post",
    )


def rehash() -> None:
    """Make the chain of an altered ledger fit again: the fault is to be found by another rule."""
    for account in CreditAccount.objects.all():
        previous = ""
        for pk in account.entries.order_by("sequence").values_list("pk", flat=True):
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE credit_ledgers SET previous_hash = %s WHERE id = %s", [previous, pk]
                )
                cursor.execute(
                    "UPDATE credit_ledgers l SET hash = credit_ledger_hash(l) WHERE id = %s RETURNING hash",
                    [pk],
                )
                previous = cursor.fetchone()[0]
        CreditAccount.objects.filter(pk=account.pk).update(last_hash=previous)


def violated() -> set[str]:
    return {r.invariant.name for r in run_invariants() if r.violations}


LAST = "(SELECT max(id) FROM credit_ledgers WHERE account_id = {account})"
PAID_IN = "(SELECT ledger_entry_id FROM payments WHERE id = {payment})"
OWE_MORE = (
    "UPDATE credit_accounts SET balance = balance + 1 WHERE id = {account}",
    "UPDATE retailers SET outstanding_debt = outstanding_debt + 1 WHERE id = {retailer}",
)
NOTICE = (
    "INSERT INTO reminder_notices (retailer_id, day, amount, state, reason, confirmed_at, sent_at)"
    " SELECT {{retailer}}, '{day}', 1, 'SENT', '', at, at"
    " FROM (VALUES ('{day} {hour}:00:00+05:45'::timestamptz)) AS t (at)"
)
LINE = (
    "INSERT INTO payment_reminders (order_id, retailer_id, notice_id, level, state, reason, sent_at)"
    " SELECT {delivered}, {retailer}, id, 0, 'SENT', '', sent_at FROM reminder_notices"
)
# name → (statements that plant the fault, other rules that the same fault cannot help but break)
FAULTS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "ledger_sequence_gap_free": (
        (f"UPDATE credit_ledgers SET sequence = sequence + 1 WHERE id = {LAST}",),
        {"ledger_hash_chain"},
    ),
    "ledger_running_balance": (
        (
            (
                "UPDATE credit_ledgers SET previous_balance = previous_balance + 1,"
                " running_balance = running_balance + 1 WHERE account_id = {account} AND sequence = 2"
            ),
        ),
        set(),
    ),
    "account_balance_is_last_running": (OWE_MORE, {"account_balance_is_sum", "ageing_is_ledger"}),
    "account_balance_is_sum": (OWE_MORE, {"account_balance_is_last_running", "ageing_is_ledger"}),
    "ledger_tenant_is_accounts": (
        (f"UPDATE credit_ledgers SET retailer_id = {{other_retailer}} WHERE id = {PAID_IN}",),
        set(),
    ),
    "delivered_has_one_debit": (
        ("UPDATE orders SET ledger_entry_id = NULL WHERE id = {delivered}",),
        {"debit_has_its_order"},
    ),
    "debit_has_its_order": (
        (
            (
                "INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference)"
                " VALUES ({account}, 'ORDER_DEBIT', 5, 'order:{delivered}:again', 'twice')"
            ),
        ),
        {"ageing_is_ledger"},
    ),
    "cancelled_nets_to_zero": (
        (
            (
                "INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference)"
                " VALUES ({account}, 'ADJUSTMENT_DEBIT', 5, 'order:{cancelled}:fee', 'fee')"
            ),
        ),
        set(),
    ),
    "payment_has_its_credit": (
        ("UPDATE payments SET payment_status = 'FAILED' WHERE id = {reversed}",),
        set(),
    ),
    "credit_has_its_payment": (
        (
            "UPDATE payments SET payment_status = 'FAILED', ledger_entry_id = NULL WHERE id = {reversed}",
        ),
        {"ageing_is_ledger"},
    ),
    "ageing_is_ledger": (
        (
            (
                "INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference, reverses_id)"
                f" VALUES ({{account}}, 'REVERSAL', 152, 'alone', 'alone', {PAID_IN})"
            ),
        ),
        {"payment_has_its_credit"},
    ),
    "account_reserved_is_open_orders": (
        (
            "UPDATE credit_accounts SET reserved = reserved + 1 WHERE id = {account}",
            "UPDATE retailers SET reserved_credit = reserved_credit + 1 WHERE id = {retailer}",
        ),
        set(),
    ),
    "retailer_sums_are_accounts": (
        ("UPDATE retailers SET outstanding_debt = outstanding_debt - 1 WHERE id = {retailer}",),
        set(),
    ),
    "credit_within_limit_or_approved": (
        ("UPDATE orders SET platform_exposure = 50000.01 WHERE id = {pending}",),
        set(),
    ),
    "score_in_range": (("UPDATE retailers SET credit_score = 901 WHERE id = {retailer}",), set()),
    "score_is_latest": (
        (
            (
                "INSERT INTO credit_scores (retailer_id, score, version, inputs, components, reason)"
                " VALUES ({retailer}, 700, 'v1', '{{}}', '{{}}', '')"
            ),
        ),
        {"score_is_recomputable"},
    ),
    "score_is_recomputable": (
        ("UPDATE credit_scores SET inputs = jsonb_set(inputs, '{{disputes}}', '5')",),
        set(),
    ),
    "offer_reserved_is_undispatched": (
        ("UPDATE vendor_products SET reserved = reserved - 1 WHERE id = {offer}",),
        set(),
    ),
    "order_total_is_sum_of_lines": (
        (
            (
                "UPDATE orders SET subtotal = subtotal + 1, total = total + 1, agreed_total = total + 1"
                " WHERE id = {placed}"
            ),
        ),
        set(),
    ),
    "line_tax_is_rounded": (
        (
            "UPDATE order_items SET tax_amount = tax_amount + 0.01 WHERE order_id = {placed}",
            "UPDATE orders SET tax_amount = tax_amount + 0.01, total = total + 0.01 WHERE id = {placed}",
        ),
        set(),
    ),
    "status_log_contiguous": (
        (
            "UPDATE order_status_logs SET sequence = 5 WHERE order_id = {cancelled} AND sequence = 3",
        ),
        set(),
    ),
    "status_log_edges": (
        (
            "UPDATE order_status_logs SET to_status = 'PACKING' WHERE order_id = {cancelled} AND sequence = 2",
            "UPDATE order_status_logs SET from_status = 'PACKING' WHERE order_id = {cancelled} AND sequence = 3",
        ),
        set(),
    ),
    "status_log_ends_at_status": (
        ("DELETE FROM order_status_logs WHERE order_id = {cancelled} AND sequence = 3",),
        set(),
    ),
    "order_tenant_is_offers": (
        ("UPDATE order_items SET offer_id = {other_offer} WHERE order_id = {delivered}",),
        set(),
    ),
    "invoice_numbers_gap_free": (("UPDATE invoice_counters SET last_number = 2",), set()),
    "pending_has_open_acceptance": (
        ("DELETE FROM vendor_order_acceptances WHERE order_id = {pending}",),
        set(),
    ),
    "under_way_was_accepted": (
        ("DELETE FROM vendor_order_acceptances WHERE order_id = {delivered}",),
        set(),
    ),
    "order_paid_is_live_allocations": (
        ("UPDATE orders SET paid_amount = 53 WHERE id = {delivered}",),
        {"ageing_is_ledger"},
    ),
    "payment_allocations_within_amount": (
        ("UPDATE payments SET allocated_amount = 53 WHERE id = {payment}",),
        {"ageing_is_ledger"},
    ),
    "allocation_tenant_is_both": (
        (
            (
                "INSERT INTO payment_allocations (payment_id, order_id, amount)"
                " SELECT id, {delivered}, 10 FROM payments WHERE account_id = {other_account}"
            ),
            "UPDATE payments SET allocated_amount = 10 WHERE account_id = {other_account}",
            "UPDATE orders SET paid_amount = 62 WHERE id = {delivered}",
        ),
        {"ageing_is_ledger"},
    ),
    "payment_tenant_is_accounts": (
        ("UPDATE payments SET vendor_id = {other_vendor} WHERE id = {failed}",),
        set(),
    ),
    "reminder_tenant_is_orders": (
        (
            (
                "INSERT INTO payment_reminders (order_id, retailer_id, level, state, reason)"
                " VALUES ({delivered}, {other_retailer}, 45, 'TASK', '')"
            ),
        ),
        set(),
    ),
    "reminder_about_what_was_open": (
        (
            NOTICE.format(day="2026-12-25", hour=9),
            LINE,
            (
                "INSERT INTO invoice_disputes (order_id, retailer_id, reason, resolution, opened_at)"
                " VALUES ({delivered}, {retailer}, 'torn', '', '2026-12-24')"
            ),
        ),
        set(),
    ),
    "reminder_once_per_level": (
        (
            (
                "INSERT INTO payment_reminders (order_id, retailer_id, level, state, reason)"
                " SELECT {delivered}, {retailer}, 45, 'TASK', '' FROM generate_series(1, 2)"
            ),
        ),
        set(),
    ),
    "notices_days_apart": (
        (NOTICE.format(day="2026-12-24", hour=9), NOTICE.format(day="2026-12-25", hour=9)),
        set(),
    ),
    "notice_outside_quiet_hours": ((NOTICE.format(day="2026-12-25", hour=19),), set()),
    "dunning_tenant_is_orders": (
        (
            (
                "INSERT INTO payment_promises (order_id, retailer_id, amount, until, note, state, reason)"
                " VALUES ({delivered}, {other_retailer}, 5, '2026-12-30', '', 'OPEN', '')"
            ),
        ),
        set(),
    ),
    "idempotency_key_once": (
        (
            (
                "INSERT INTO idempotency_keys (user_id, key, fingerprint)"
                " SELECT min(users.id), 'k', 'f' FROM users, generate_series(1, 2) i GROUP BY i"
            ),
        ),
        set(),
    ),
    "one_order_per_message": (
        ("UPDATE orders SET source = 'WHATSAPP' WHERE id = {placed}",),
        set(),
    ),
    "placed_is_being_routed": (("UPDATE jobs SET state = 'dead'",), set()),
}


def plant(world: World, statement: str) -> None:
    execute(
        statement.format(
            account=world.account.pk,
            retailer=world.account.retailer_id,
            other_account=world.other_account.pk,
            other_retailer=world.other_account.retailer_id,
            other_vendor=world.other_account.vendor_id,
            delivered=world.delivered.pk,
            pending=world.pending.pk,
            placed=world.placed.pk,
            cancelled=world.cancelled.pk,
            payment=world.payment.pk,
            reversed=world.reversed.pk,
            failed=world.failed.pk,
            offer=world.offer.pk,
            other_offer=world.other_offer.pk,
        )
    )


def test_finds_nothing_in_a_world_without_faults(world: World) -> None:
    results = run_invariants()

    assert [(r.invariant.name, r.examples) for r in results if r.violations] == []
    assert all(r.checked for r in results if r.invariant.entity in {"credit_account", "payment"})


@pytest.mark.parametrize("name", [i.name for i in INVARIANTS if i.name != "ledger_hash_chain"])
def test_finds_the_planted_fault_and_no_other(world: World, name: str) -> None:
    unguard()
    statements, also = FAULTS[name]
    for statement in statements:
        plant(world, statement)
    rehash()

    assert violated() == {name} | also


def test_finds_an_altered_entry(world: World) -> None:
    unguard()
    plant(
        world,
        "UPDATE credit_ledgers SET reference = 'else' WHERE account_id = {account} AND sequence = 2",
    )

    assert violated() == {"ledger_hash_chain"}


@pytest.mark.parametrize(
    ("statement", "sequence", "fault"),
    [
        (
            "UPDATE credit_ledgers SET due_date = '2030-01-01' WHERE account_id = {account} AND sequence = 3",
            3,
            "contents are not what was hashed",
        ),
        (
            "UPDATE credit_ledgers l SET hash = 'x' || substr(hash, 2) WHERE account_id = {account} AND sequence = 5",
            5,
            "contents are not what was hashed",
        ),
        (
            "DELETE FROM credit_ledgers WHERE account_id = {account} AND sequence = 5",
            4,
            "the account's last entry is 5, the ledger's 4",
        ),
    ],
)
def test_locates_an_altered_entry(world: World, statement: str, sequence: int, fault: str) -> None:
    unguard()
    plant(world, statement)

    found = altered_entries(world.account.pk)

    assert (found[0].account_id, found[0].sequence, found[0].fault) == (
        world.account.pk,
        sequence,
        fault,
    )
    assert altered_entries(world.other_account.pk) == []


def test_locates_a_missing_entry_at_the_one_after_it(world: World) -> None:
    unguard()
    execute(
        "UPDATE payments SET ledger_entry_id = NULL",
        "DELETE FROM credit_ledgers WHERE reverses_id IS NOT NULL OR sequence = 3",
    )

    found = altered_entries(world.account.pk)

    assert [(a.sequence, a.fault) for a in found] == [
        (5, "does not carry the hash of the entry before it; entries before it are missing")
    ]


def test_verify_prints_a_table(world: World) -> None:
    out = StringIO()

    call_command("verify", stdout=out)

    assert "order_total_is_sum_of_lines" in out.getvalue()
    assert f"{len(INVARIANTS)} invariants in" in out.getvalue()


def test_verify_fails_on_a_violation_and_names_the_row(world: World) -> None:
    unguard()
    plant(world, FAULTS["score_in_range"][0][0])
    out = StringIO()

    with pytest.raises(CommandError, match="1 of 1 invariants violated"):
        call_command("verify", "--only", "score_in_range", stdout=out)

    assert f"retailer {world.account.retailer_id}: score 901" in out.getvalue()


def test_verify_prints_json(world: World) -> None:
    out = StringIO()

    call_command("verify", "--json", "--only", "account_balance_is_sum", stdout=out)

    (result,) = json.loads(out.getvalue())
    assert (result["name"], result["checked"], result["violations"]) == (
        "account_balance_is_sum",
        2,
        0,
    )


def test_verify_ledger_names_account_sequence_and_entry(world: World) -> None:
    unguard()
    plant(
        world,
        "UPDATE credit_ledgers SET reference = 'else' WHERE account_id = {account} AND sequence = 2",
    )
    number = CreditLedger.objects.get(account=world.account, sequence=2).entry_number
    out = StringIO()

    with pytest.raises(CommandError):
        call_command("verify_ledger", stdout=out)

    assert out.getvalue().splitlines() == [
        f"account {world.account.pk}, sequence 2, {number}: contents are not what was hashed"
    ]


def test_verify_ledger_counts_intact_entries(world: World) -> None:
    out = StringIO()

    call_command("verify_ledger", "--account", str(world.other_account.pk), stdout=out)

    assert out.getvalue() == "1 entries, none altered\n"


def test_reconciliation_raises_no_alert_without_a_fault(world: World) -> None:
    tasks.reconcile()

    assert Alert.objects.count() == 0
    assert not CreditAccount.objects.filter(is_frozen=True).exists()


def test_reconciliation_alerts_and_freezes_only_the_account_concerned(world: World) -> None:
    unguard()
    plant(world, FAULTS["account_reserved_is_open_orders"][0][0])
    plant(world, FAULTS["account_reserved_is_open_orders"][0][1])

    tasks.reconcile()
    tasks.reconcile()

    alert = Alert.objects.get()
    assert (alert.code, alert.occurrences) == ("invariant.account_reserved_is_open_orders", 2)
    assert alert.details["frozen_accounts"] == [world.account.pk]
    frozen = CreditAccount.objects.filter(is_frozen=True).values_list("pk", flat=True)
    assert list(frozen) == [world.account.pk]
    assert AuditLog.objects.filter(action="credit_account.frozen").count() == 1


def test_reconciliation_freezes_nothing_for_a_rule_that_is_not_about_credit(world: World) -> None:
    unguard()
    plant(world, FAULTS["placed_is_being_routed"][0][0])

    tasks.reconcile()

    assert Alert.objects.get().code == "invariant.placed_is_being_routed"
    assert not CreditAccount.objects.filter(is_frozen=True).exists()


def test_reconciliation_leaves_the_business_running_when_everything_is_wrong(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "FREEZE_AT_MOST", 1)
    unguard()
    execute(
        "UPDATE credit_accounts SET balance = balance + 1",
        "UPDATE retailers SET outstanding_debt = outstanding_debt + 1",
    )

    tasks.reconcile()

    assert Alert.objects.count() == 3
    assert not CreditAccount.objects.filter(is_frozen=True).exists()


@pytest.mark.parametrize(
    "planted",
    [
        (
            "INSERT INTO payment_promises"
            " (order_id, retailer_id, amount, until, note, state, reason, created_at)"
            " VALUES (NULL, {retailer}, 5, '2026-12-25', '', 'OPEN', '', '2026-12-24')"
        ),
        "UPDATE payment_allocations SET amount = 452, created_at = '2026-12-24'",
    ],
)
def test_finds_a_reminder_about_what_was_promised_or_paid(world: World, planted: str) -> None:
    unguard()
    for statement in (NOTICE.format(day="2026-12-25", hour=9), LINE, planted):
        plant(world, statement)

    assert "reminder_about_what_was_open" in violated()


def test_a_reminder_before_the_payment_and_after_the_promise_is_right(world: World) -> None:
    unguard()
    for statement in (
        NOTICE.format(day="2026-12-25", hour=9),
        LINE,
        "UPDATE payment_allocations SET created_at = '2026-12-26'",
        (
            "INSERT INTO payment_promises"
            " (order_id, retailer_id, amount, until, note, state, reason, created_at)"
            " VALUES ({delivered}, {retailer}, 5, '2026-12-24', '', 'OPEN', '', '2026-12-20')"
        ),
    ):
        plant(world, statement)

    assert violated() == set()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("components = jsonb_set(components, '{0,earned}', '1')", "its points are not those"),
        ("version = 'v0'", "scored 630 by v0, which is unknown"),
        ("inputs = '{}'", "its facts cannot be read: KeyError"),
        ("cap = 649", "scored 630, its facts give 630"),
        ("score = 631", "scored 631, its facts give 630"),
    ],
)
def test_says_what_is_wrong_with_a_scoring(world: World, change: str, fault: str) -> None:
    execute(f"UPDATE credit_scores SET {change}")

    [result] = run_invariants(["score_is_recomputable"])

    assert (result.checked, result.violations) == (1, 1)
    [offence] = result.examples
    assert offence.entity_id == world.other_account.retailer_id
    assert fault in offence.fault
