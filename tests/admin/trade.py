"""A day's trade with at least one row of everything that the admin shows."""

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from credit import services as credit
from credit.models import CreditAccount, CreditApproval
from khaacho import jobs
from khaacho.actors import SYSTEM
from khaacho.alerts import raise_alert
from khaacho.enums import Queue, Role, Severity
from khaacho.exceptions import Refused
from khaacho.models import (
    Alert,
    IdempotencyKey,
    QueueSetting,
    RefreshToken,
    SignInFailure,
    WorkerNode,
)
from khaacho.rollback import run_after_rollback
from monitoring import services as monitoring
from monitoring.alerting import rules
from monitoring.enums import Channel, ReportFormat, ReportKind
from monitoring.maintenance.kinds import MaintenanceKind, MaintenanceState
from monitoring.models import (
    AdviceRun,
    AlertNotice,
    Backup,
    IndexAdvice,
    JobMinute,
    MaintenanceRun,
    OriginSpan,
    ReleaseMarker,
    Report,
    StatementForm,
    StatementPlace,
    StatementSpan,
)
from orders.models import FiscalYear, Order, OrderRefusal
from payments import scores
from payments import services as payments
from payments.enums import PaymentMethod, TaskKind
from payments.models import (
    CollectionTask,
    InvoiceDispute,
    PaymentPromise,
    PaymentReminder,
    ReminderNotice,
)
from tests.factories import (
    advance,
    make_actor,
    make_offer,
    make_order,
    make_retailer,
    make_user,
    phone,
)
from whatsapp.enums import Direction, MessageStatus
from whatsapp.models import WhatsAppConversation, WhatsAppMessage, WhatsAppWebhook


def make_refusal(*, credit_limit: int = 100, price: int = 500) -> OrderRefusal:
    """Let a shop order for more than its limit; return what the credit desk sees."""
    shop = make_retailer(credit_limit=credit_limit)
    offer = make_offer(price=price)
    try:
        make_order(shop, offer)
    except Refused as refusal:
        run_after_rollback(refusal)
    return OrderRefusal.objects.get(retailer=shop)


def make_paid_order() -> Order:
    """Return a delivered order of its own shop and vendor, paid in full by cheque."""
    offer = make_offer()
    order = advance(make_order(make_retailer(), offer), "DELIVERED")
    payments.record_payment(
        retailer_id=order.retailer_id,
        vendor_id=order.vendor_id,
        amount=order.total,
        method=PaymentMethod.CHEQUE,
        actor=SYSTEM,
    )
    return order


def make_report() -> Report:
    """Return a statement that waits to be made, of a shop of its own."""
    return monitoring.request_report(
        kind=ReportKind.STATEMENT,
        form=ReportFormat.PDF,
        given={"retailer_id": make_retailer().pk},
        actor=SYSTEM,
    )


def trade(number: int) -> None:
    """Add one row or more to every list, each with relations of its own."""
    order = make_paid_order()
    make_refusal()
    officer = make_actor()
    credit.change_limit(
        retailer_id=order.retailer_id, new_limit=Decimal(900_000), reason="grows", actor=officer
    )
    user = make_user(Role.ADMIN)
    account = CreditAccount.objects.get(retailer=order.retailer)
    CreditApproval.objects.create(account=account, amount=1, reason="once", approved_by=user)
    scores.rescore(retailer_ids=[order.retailer_id])
    _dunning(order)
    _messages(order)
    make_report()
    _machinery(number, user.pk)


def _dunning(order: Order) -> None:
    shop = order.retailer
    notice = ReminderNotice.objects.create(retailer=shop, day=order.due_date, amount=order.total)
    PaymentReminder.objects.create(order=order, retailer=shop, notice=notice, level=3)
    promise = PaymentPromise.objects.create(
        retailer=shop, order=order, amount=order.total, until=order.due_date
    )
    InvoiceDispute.objects.create(order=order, retailer=shop, reason="one bag was torn")
    CollectionTask.objects.create(
        kind=TaskKind.PROMISE, retailer=shop, order=order, promise=promise
    )


def _messages(order: Order) -> None:
    talk = WhatsAppConversation.objects.create(phone=phone(), retailer=order.retailer)
    WhatsAppMessage.objects.create(
        conversation=talk,
        direction=Direction.IN,
        provider_message_id=f"wamid.{talk.pk}",
        from_number=talk.phone,
        to_number="+9779800000000",
        body="10 rice",
        payload={"text": {"body": "10 rice"}},
        status=MessageStatus.RECEIVED,
        order=order,
    )
    WhatsAppWebhook.objects.create(provider="meta", digest=uuid.uuid4().hex * 2, body=b"{}")


def _machinery(number: int, user_id: int) -> None:
    raise_alert("order.unroutable", "Nobody is left.", entity_type="order", entity_id=number + 1)
    jobs.enqueue("orders.mark_overdue", {"phone": "+9779800000000"}, reference="order:1")
    moment = timezone.now()
    JobMinute.objects.create(
        queue="reports",
        minute=moment - timedelta(minutes=number),
        counted_until=moment,
        done=1,
        deduplicated=0,
        stalled=0,
        waits={"1": 1},
        runs={"1": 1},
    )
    ReleaseMarker.objects.create(name=f"v{number}", released_at=moment)
    rules.add_missing()
    AlertNotice.objects.create(
        alert=Alert.objects.latest("pk"),
        subject=f"trade::{number}",
        channel=Channel.WEBHOOK,
        severity=Severity.WARNING,
        occurrences=1,
    )
    make_advice(number)
    _watched(number, moment)
    AdviceRun.objects.create(
        planned=1, candidates=1, found=1, seconds=1, is_verified=True, is_complete=True
    )
    QueueSetting.objects.get_or_create(queue=Queue.values[number % 6])
    WorkerNode.objects.create(name=f"node-{number}", queues=["reports"], concurrency=1)
    RefreshToken.objects.create(
        family=uuid.uuid4(),
        user_id=user_id,
        digest=uuid.uuid4().hex,
        expires_at=timezone.now() + timedelta(days=1),
    )
    SignInFailure.objects.create(phone="+9779800000000", address="192.0.2.1")
    IdempotencyKey.objects.create(user_id=user_id, key=f"key-{number}", fingerprint="x")
    year = FiscalYear.objects.order_by("starts_on").first()
    FiscalYear.objects.create(
        name=f"{1900 + number}/x"[:7], starts_on=year.starts_on - timedelta(days=400 + number)
    )


def _watched(number: int, moment: datetime) -> None:
    """What processes publish about their statements, and a table that was maintained."""
    origin = {"kind": "route", "name": f"route-{number}", "method": "GET"}
    StatementForm.objects.create(fingerprint=number, form="SELECT ?", seen_at=moment)
    StatementPlace.objects.create(
        fingerprint=number,
        file="orders/selectors.py",
        line=1,
        function="orders",
        samples=1,
        seen_at=moment,
        **origin,
    )
    StatementSpan.objects.create(
        since=moment,
        fingerprint=number,
        calls=1,
        errors=0,
        microseconds=1,
        buckets={"1": 1},
        **origin,
    )
    OriginSpan.objects.create(
        since=moment,
        outcome="2xx",
        ended=1,
        microseconds=1,
        statements=1,
        database_microseconds=1,
        buckets={"1": 1},
        **origin,
    )
    Backup.objects.create(name=f"khaacho_backup_2026-01-{number:02}_02-00-00")
    MaintenanceRun.objects.create(
        kind=MaintenanceKind.ANALYZE,
        target="orders",
        state=MaintenanceState.DONE,
        finished_at=moment,
    )


def make_advice(number: int = 0, **fields: Any) -> IndexAdvice:
    """Advice about an index that one could make, but which is not worth it."""
    shape = {
        "table": ["public", "vendors"],
        "keys": [{"column": "orders_offered", "is_descending": False, "nulls": ""}],
        "included": [],
        "where": [],
        "parts": [],
    }
    return IndexAdvice.objects.create(
        table="vendors",
        definition=f"(orders_offered, {number})",
        shape=shape,
        is_verified=True,
        **fields,
    )
