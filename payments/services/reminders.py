"""Reminders: planned in the morning, looked at again just before they go, and recorded."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from khaacho import events, jobs, sql
from khaacho.actors import SYSTEM, act
from khaacho.jobs import NewJob
from khaacho.money import ZERO
from khaacho.transactions import verb
from orders import services as orders
from orders.models import Order
from payments import dunning
from payments.dunning import KATHMANDU, Due, Level, Plan, Step
from payments.enums import NoticeState, ReminderState, TaskKind
from payments.events import ReminderPlanned
from payments.models import CollectionTask, PaymentReminder, ReminderNotice

REMIND = "payments.remind"
SOON = timedelta(hours=1)
TASK_KINDS = {
    Level.CALL: TaskKind.CALL,
    Level.COLLECTOR: TaskKind.COLLECTOR,
    Level.REVIEW: TaskKind.REVIEW,
}
SUPERSEDED = "a higher level was due"

LOCAL_DAY = "(statement_timestamp() AT TIME ZONE 'Asia/Kathmandu')::date"
DISPUTED = (
    "EXISTS (SELECT FROM invoice_disputes d WHERE d.order_id = o.id AND d.resolved_at IS NULL)"
)
PROMISED = (
    "greatest((SELECT max(p.until) FROM payment_promises p"
    " WHERE p.state = 'OPEN' AND p.order_id = o.id),"
    " (SELECT max(p.until) FROM payment_promises p"
    " WHERE p.state = 'OPEN' AND p.order_id IS NULL AND p.retailer_id = o.retailer_id))"
)

# Open dues are few beside all orders, and order_owing_idx holds just them: it is read once, and each
# due's levels are counted in reminder_once_per_level.
WAITING = (
    f"WITH today AS MATERIALIZED (SELECT {LOCAL_DAY} AS day),"
    " waiting AS (SELECT DISTINCT o.retailer_id FROM orders o, today"
    " WHERE o.due_date IS NOT NULL AND o.due_amount > 0"
    " AND o.due_date <= today.day - (%(levels)s::int[])[1]"
    " AND (SELECT count(*) FROM unnest(%(levels)s::int[]) AS l WHERE l <= today.day - o.due_date)"
    " > (SELECT count(*) FROM payment_reminders m"
    "  WHERE m.order_id = o.id AND m.level <= today.day - o.due_date)"
    f" AND NOT {DISPUTED} AND NOT coalesce({PROMISED} >= today.day, false))"
    " SELECT w.retailer_id, today.day FROM waiting w, today"
    " WHERE NOT EXISTS (SELECT FROM jobs j WHERE j.state IN ('queued', 'running')"
    "  AND j.dedupe_key = concat('reminder:', w.retailer_id, ':', today.day))"
    " ORDER BY w.retailer_id"
)


@verb
def find_reminders() -> int:
    """Queue one job per shop with a level to do today; return how many. Two statements."""
    rows = sql.fetch(WAITING, {"levels": sorted(level.value for level in Level)})
    jobs.insert(
        [
            NewJob(
                REMIND,
                {"retailer_id": retailer_id},
                f"retailer:{retailer_id}",
                _key(retailer_id, day),
            )
            for retailer_id, day in rows
        ]
    )
    return len(rows)


def _key(retailer_id: int, day: date) -> str:
    return f"reminder:{retailer_id}:{day}"


DUES = (
    f"SELECT o.id, o.due_date, o.due_amount, {DISPUTED}, {PROMISED} FROM orders o"
    " WHERE o.id = ANY (%(orders)s) ORDER BY o.due_date, o.id"
)
# A notice that was dropped reached nobody; but no second one is made on its day.
MOMENT = (
    "SELECT statement_timestamp(), (SELECT max(n.day) FROM reminder_notices n"
    " WHERE n.retailer_id = %(retailer)s"
    f" AND (n.state <> 'DROPPED' OR n.day = {LOCAL_DAY}))"
)


@verb
def plan_reminders(*, retailer_id: int) -> Plan:
    """Plan and record what is due to one shop now: a notice, tasks for staff, levels passed over.

    What may be said within the hour is planned again then: beat's clock may be seconds ahead of ours.
    Locks its owing orders in id order, so that payments, promises, disputes and other planners wait.
    Nine statements, however many dues.
    """
    act(SYSTEM)
    owing = Order.objects.filter(retailer_id=retailer_id).owing().values_list("pk", flat=True)
    order_ids = [order.pk for order in orders.lock_orders(owing)]
    if not order_ids:
        return Plan()
    dues = [Due(*row) for row in sql.fetch(DUES, {"orders": order_ids})]
    done = PaymentReminder.objects.filter(order__in=order_ids).values_list("order_id", "level")
    row = sql.fetch_one(MOMENT, {"retailer": retailer_id})
    assert row is not None
    now, last_message = row
    found = dunning.plan(dues, set(done), last_message, now)
    today = now.astimezone(KATHMANDU).date()
    _record(retailer_id, found, dues, today)
    if found.next_try is not None and found.next_try - now <= SOON:
        jobs.enqueue(
            REMIND,
            {"retailer_id": retailer_id},
            reference=f"retailer:{retailer_id}",
            dedupe_key=_key(retailer_id, today),
            delay=found.next_try - now,
        )
    return found


def _record(retailer_id: int, found: Plan, dues: Sequence[Due], today: date) -> None:
    notice = _new_notice(retailer_id, found.message, dues, today) if found.message else None

    def rows(steps: Sequence[Step], state: ReminderState, **more: object) -> list[PaymentReminder]:
        return [
            PaymentReminder(
                order_id=step.invoice,
                retailer_id=retailer_id,
                level=step.level,
                state=state,
                **more,
            )
            for step in steps
        ]

    PaymentReminder.objects.bulk_create(
        [
            *rows(found.message, ReminderState.QUEUED, notice=notice),
            *rows(found.tasks, ReminderState.TASK),
            *rows(found.superseded, ReminderState.SKIPPED, reason=SUPERSEDED),
        ]
    )
    CollectionTask.objects.bulk_create(
        [
            CollectionTask(
                kind=TASK_KINDS[step.level], retailer_id=retailer_id, order_id=step.invoice
            )
            for step in found.tasks
        ]
    )


def _new_notice(
    retailer_id: int, message: Sequence[Step], dues: Sequence[Due], today: date
) -> ReminderNotice:
    left = {due.invoice: due.amount for due in dues}
    notice = ReminderNotice.objects.create(
        retailer_id=retailer_id,
        day=today,
        amount=sum((left[step.invoice] for step in message), ZERO),
    )
    events.publish(ReminderPlanned(retailer_id=retailer_id, notice_id=notice.pk))
    return notice


@dataclass(frozen=True)
class NoticeLine:
    """One invoice of a notice as it is now; `amount` NPR left to pay, `late` days since its due date."""

    order_id: int
    invoice_number: str
    vendor_name: str
    vendor_name_ne: str
    due_date: date
    amount: Decimal
    level: Level
    late: int


LINES = (
    f"SELECT o.id, o.due_date, o.due_amount, {DISPUTED}, {PROMISED}, m.level, o.invoice_number,"
    " v.business_name, v.business_name_ne FROM payment_reminders m JOIN orders o ON o.id = m.order_id"
    " JOIN vendors v ON v.id = o.vendor_id WHERE m.notice_id = %s AND m.state = 'QUEUED'"
    " ORDER BY o.due_date, o.id"
)


@verb
def confirm_notice(*, notice_id: int) -> tuple[NoticeLine, ...]:
    """Look once more whether a notice may go now; return its lines as they are, none: it may not.

    Call it just before handing it over. What was paid, disputed or promised meanwhile is skipped for
    good; in quiet hours or after its day the notice is dropped and its levels are free again.
    Locks the notice. At most six statements.
    """
    notice = _lock(notice_id)
    if notice is None or notice.state != NoticeState.QUEUED:
        return ()
    row = sql.fetch_one("SELECT statement_timestamp()")
    assert row is not None
    now: datetime = row[0]
    today = now.astimezone(KATHMANDU).date()
    if notice.day != today or dunning.is_quiet(now):
        _free(notice_id, "its hours were over")
        return ()
    lines, hindered = _lines(notice_id, today)
    for reason, order_ids in hindered.items():
        _skip(notice_id, reason, order_ids)
    if not lines:
        _drop(notice_id, ", ".join(sorted(hindered)) or "nothing to say")
        return ()
    total = sum((line.amount for line in lines), ZERO)
    ReminderNotice.objects.filter(pk=notice_id).update(confirmed_at=now, amount=total)
    return lines


def _lock(notice_id: int) -> ReminderNotice | None:
    locked = ReminderNotice.objects.select_for_update(of=("self",), no_key=True)
    return locked.filter(pk=notice_id).first()


def notice_lines(notice_id: int, today: date | None = None) -> tuple[NoticeLine, ...]:
    """Return a notice's lines that may be told, as they are now. At most two statements."""
    if today is None:
        row = sql.fetch_one(f"SELECT {LOCAL_DAY}")
        assert row is not None
        today = row[0]
    return _lines(notice_id, today)[0]


def _lines(notice_id: int, today: date) -> tuple[tuple[NoticeLine, ...], dict[str, list[int]]]:
    """Return the lines that may be told, and the orders of the others by what hinders them."""
    lines: list[NoticeLine] = []
    hindered: dict[str, list[int]] = {}
    for *due_row, level, number, name, name_ne in sql.fetch(LINES, [notice_id]):
        due = Due(*due_row)
        if reason := dunning.hindrance(due, today):
            hindered.setdefault(reason, []).append(due.invoice)
            continue
        late = (today - due.due_date).days
        lines.append(
            NoticeLine(
                due.invoice, number, name, name_ne, due.due_date, due.amount, Level(level), late
            )
        )
    return tuple(lines), hindered


def _skip(notice_id: int, reason: str, order_ids: Collection[int] | None = None) -> None:
    """Pass over queued lines of a notice for good: those of the orders named, or all."""
    lines = PaymentReminder.objects.filter(notice_id=notice_id, state=ReminderState.QUEUED)
    if order_ids is not None:
        lines = lines.filter(order_id__in=order_ids)
    lines.update(state=ReminderState.SKIPPED, reason=reason[:200])


def _drop(notice_id: int, reason: str) -> None:
    ReminderNotice.objects.filter(pk=notice_id, state=NoticeState.QUEUED).update(
        state=NoticeState.DROPPED, reason=reason[:200]
    )


def _free(notice_id: int, reason: str) -> None:
    """Drop a notice that never went; its levels are planned anew."""
    PaymentReminder.objects.filter(notice_id=notice_id, state=ReminderState.QUEUED).delete()
    _drop(notice_id, reason)


MARK_SENT = (
    "WITH sent AS (UPDATE reminder_notices SET state = 'SENT', sent_at = confirmed_at"
    " WHERE id = ANY (ARRAY(SELECT n.id FROM reminder_notices n WHERE n.state = 'QUEUED'"
    "  AND n.confirmed_at IS NOT NULL AND {which} ORDER BY n.id FOR NO KEY UPDATE))"
    " RETURNING id, sent_at)"
    " UPDATE payment_reminders m SET state = 'SENT', sent_at = sent.sent_at FROM sent"
    " WHERE m.notice_id = sent.id AND m.state = 'QUEUED'"
)


@verb
def mark_sent(*, notice_id: int) -> None:
    """Record that a confirmed notice was handed over, or may have been. One statement; idempotent."""
    sql.execute(MARK_SENT.format(which="n.id = %s"), [notice_id])


@verb
def drop_notice(*, notice_id: int, reason: str, try_again: bool) -> None:
    """Record that a queued notice certainly did not go; `try_again` frees its levels. Idempotent."""
    notice = _lock(notice_id)
    if notice is None or notice.state != NoticeState.QUEUED:
        return
    if try_again:
        _free(notice_id, reason)
        return
    _skip(notice_id, reason)
    _drop(notice_id, reason)


@verb
def lapse_notices() -> None:
    """Close what is still queued from earlier days.

    What was confirmed may have reached the shop and counts as sent; the rest is dropped, its levels
    free again.
    """
    sql.execute(MARK_SENT.format(which=f"n.day < {LOCAL_DAY}"))
    late = sql.fetch(
        "SELECT id FROM reminder_notices WHERE state = 'QUEUED'"
        f" AND day < {LOCAL_DAY} ORDER BY id FOR NO KEY UPDATE"
    )
    for (notice_id,) in late:
        _free(notice_id, "its day was over")
