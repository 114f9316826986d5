"""Reminders, and what stops them: notices, promises, disputes, and what staff do themselves."""

from collections.abc import Callable
from datetime import date
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet

from credit.models import Retailer
from khaacho.actors import Actor
from khaacho.adminsite import (
    KhaachoModelAdmin,
    Panel,
    Verb,
    add_panel,
    by_code,
    by_number,
    by_phone,
    narrowed,
    npr,
    sections,
)
from khaacho.adminsite.filters import unset_first
from khaacho.adminsite.forms import NprField, ReasonForm, chooser
from orders.models import Order
from payments import services
from payments.dunning import Level
from payments.enums import PromiseState, TaskKind, TaskState
from payments.models import (
    CollectionTask,
    InvoiceDispute,
    PaymentPromise,
    PaymentReminder,
    ReminderNotice,
)

SHOP = (by_code("retailer__code", "RTL", "retailer"), by_phone("retailer__user__phone"))
INVOICE = by_number("order__order_number", "ORD")
REMINDER_COLUMNS = ("created_at", "level", "state", "sent_at", "reason")


def _at(level: Level) -> Callable[[QuerySet[PaymentReminder]], QuerySet[PaymentReminder]]:
    return lambda reminders: reminders.filter(level=level)


LEVELS = {level.name.lower(): (f"{level:+d} {level.name.lower()}", _at(level)) for level in Level}


@admin.register(PaymentReminder)
class ReminderAdmin(KhaachoModelAdmin):
    list_display = ("created_at", "retailer", "order", "level", "state", "sent_at", "reason")
    list_select_related = ("retailer", "order")
    list_filter = ("state", narrowed("level", "level", **LEVELS))
    searches = (INVOICE, *SHOP)
    fieldsets = sections(
        (None, ("retailer", "order", "level", "state", "reason", "notice")),
        ("Dates", ("created_at", "sent_at")),
    )


@admin.register(ReminderNotice)
class NoticeAdmin(KhaachoModelAdmin):
    """One message to one shop; its text is among the messages below."""

    list_display = ("day", "retailer", npr("amount"), "state", "sent_at", "reason")
    list_display_links = ("day", "retailer")
    list_select_related = ("retailer",)
    list_filter = ("state",)
    searches = SHOP
    fieldsets = sections(
        (None, (("retailer", "day"), npr("amount"), "state", "reason")),
        ("Dates", ("created_at", "confirmed_at", "sent_at")),
    )
    panels = (
        Panel(
            title="Invoices",
            model=PaymentReminder,
            rows=lambda notice: (
                PaymentReminder.objects.filter(notice=notice).select_related("order").order_by("pk")
            ),
            columns=("order", "level", "state", "reason"),
        ),
    )


class _PromiseForm(forms.Form):
    """What was promised; no amount stands for all that is due."""

    until = forms.DateField(
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The last day: reminders go on after it. At most 30 days ahead.",
    )
    amount = NprField(label="Amount (NPR)", required=False, help_text="Empty: all that is due.")
    note = forms.CharField(max_length=300, required=False)


class PromiseForm(_PromiseForm):
    retailer = chooser(PaymentPromise, "retailer")
    order = chooser(
        PaymentPromise, "order", required=False, help_text="Empty: all that the shop owes."
    )
    field_order = ("retailer", "order", "until", "amount", "note")


class DisputeForm(ReasonForm):
    order = chooser(InvoiceDispute, "order")
    field_order = ("order", "reason")


class ResolutionForm(forms.Form):
    resolution = forms.CharField(
        max_length=300, widget=forms.Textarea(attrs={"rows": 3, "autofocus": True})
    )


class OutcomeForm(forms.Form):
    outcome = forms.CharField(
        max_length=300, widget=forms.Textarea(attrs={"rows": 3, "autofocus": True})
    )


def _promise(
    retailer_id: int, order_id: int | None, fields: dict[str, Any], actor: Actor
) -> PaymentPromise:
    until: date = fields["until"]
    return services.record_promise(
        retailer_id=retailer_id,
        order_id=order_id,
        until=until,
        amount=fields["amount"],
        note=fields["note"],
        actor=actor,
    )


def _record_promise(_: None, fields: dict[str, Any], actor: Actor) -> PaymentPromise:
    order = fields["order"]
    return _promise(fields["retailer"].pk, order.pk if order else None, fields, actor)


def _closed(promise: PaymentPromise) -> str:
    if promise.state == PromiseState.OPEN:
        return ""
    return f"it is {PromiseState(promise.state).label.lower()}"


PROMISE_COLUMNS = ("created_at", "order", npr("amount"), "until", "state", "note")


@admin.register(PaymentPromise)
class PromiseAdmin(KhaachoModelAdmin):
    entity_type = "promise"
    list_display = ("created_at", "retailer", "order", npr("amount"), "until", "state", "made_by")
    list_display_links = ("created_at", "retailer")
    list_select_related = ("retailer", "order", "made_by")
    list_filter = ("state",)
    searches = (INVOICE, *SHOP)
    fieldsets = sections(
        (None, ("retailer", "order", npr("amount"), "until", "note", "made_by")),
        ("Outcome", ("state", "reason")),
        ("Dates", ("created_at", "closed_at")),
    )
    verbs = (
        Verb(
            name="cancel_promise",
            label="Cancel",
            permission="payments.cancel_promise",
            run=lambda promise, fields, actor: services.cancel_promise(
                promise_id=promise.pk, reason=fields["reason"], actor=actor
            ),
            effect="Reminders go on from the next morning.",
            done="The promise is cancelled.",
            form=ReasonForm,
            hindrance=_closed,
        ),
    )
    list_verbs = (
        Verb(
            name="record_promise",
            label="Record promise",
            permission="payments.record_promise",
            run=_record_promise,
            effect="The shop is not reminded through that day. Payments recorded until then keep the"
            " promise; otherwise it is broken and becomes a task.",
            done="The promise is recorded.",
            form=PromiseForm,
        ),
    )


def _resolved(dispute: InvoiceDispute) -> str:
    return "" if dispute.resolved_at is None else "it is resolved already"


@admin.register(InvoiceDispute)
class DisputeAdmin(KhaachoModelAdmin):
    entity_type = "dispute"
    list_display = ("opened_at", "order", "retailer", "reason", "opened_by", "resolved_at")
    list_display_links = ("opened_at", "order")
    list_select_related = ("order", "retailer", "opened_by")
    list_filter = (unset_first("resolved_at", "resolution", opened="Open", closed="Resolved"),)
    searches = (INVOICE, *SHOP)
    fieldsets = sections(
        (None, ("order", "retailer", "reason", "opened_by", "opened_at")),
        ("Resolution", ("resolution", "resolved_by", "resolved_at")),
    )
    verbs = (
        Verb(
            name="resolve_dispute",
            label="Resolve",
            permission="payments.resolve_dispute",
            run=lambda dispute, fields, actor: services.resolve_dispute(
                dispute_id=dispute.pk, resolution=fields["resolution"], actor=actor
            ),
            effect="Reminders go on where the ladder stands.",
            done="The dispute is resolved.",
            form=ResolutionForm,
            hindrance=_resolved,
        ),
    )
    list_verbs = (
        Verb(
            name="open_dispute",
            label="Open dispute",
            permission="payments.open_dispute",
            run=lambda _, fields, actor: services.open_dispute(
                order_id=fields["order"].pk, reason=fields["reason"], actor=actor
            ),
            effect="Nobody is reminded of this invoice until the dispute is resolved.",
            done="The dispute is open.",
            form=DisputeForm,
        ),
    )


def _finished(task: CollectionTask) -> str:
    if task.state == TaskState.OPEN:
        return ""
    return f"it is {TaskState(task.state).label.lower()}"


def _of_kind(
    kind: TaskKind,
) -> Callable[[QuerySet[CollectionTask]], QuerySet[CollectionTask]]:
    return lambda tasks: tasks.filter(kind=kind)


TASK_COLUMNS = ("created_at", "kind", "order", "state", "outcome")


@admin.register(CollectionTask)
class TaskAdmin(KhaachoModelAdmin):
    entity_type = "collection_task"
    list_display = (
        "created_at",
        "kind",
        "retailer",
        "order",
        "state",
        "done_by",
        "done_at",
        "outcome",
    )
    list_display_links = ("created_at", "kind")
    list_select_related = ("retailer", "order", "done_by")
    list_filter = (
        "state",
        narrowed("kind", "kind", **{kind.value: (kind.label, _of_kind(kind)) for kind in TaskKind}),
    )
    searches = (INVOICE, *SHOP)
    fieldsets = sections(
        (None, ("kind", "retailer", "order", "promise", "created_at")),
        ("Outcome", ("state", "outcome", ("done_by", "done_at"))),
    )
    verbs = (
        Verb(
            name="finish_task",
            label="Done",
            permission="payments.finish_task",
            run=lambda task, fields, actor: services.finish_task(
                task_id=task.pk, outcome=fields["outcome"], actor=actor
            ),
            effect="The task is closed with what came of it, and your name.",
            done="{record} is done.",
            form=OutcomeForm,
            hindrance=_finished,
            bulk=True,
        ),
    )


def _of_shop(model: Any) -> Callable[[Retailer], QuerySet[Any]]:
    def rows(shop: Retailer) -> QuerySet[Any]:
        found: QuerySet[Any] = model.objects.filter(retailer=shop)
        return found.select_related("order").order_by("-pk")

    return rows


add_panel(
    Order,
    Panel(
        title="Reminders",
        model=PaymentReminder,
        rows=lambda order: PaymentReminder.objects.filter(order=order).order_by("level"),
        columns=REMINDER_COLUMNS,
        more="order__id__exact",
    ),
)
add_panel(
    Order,
    Panel(
        title="Promises",
        model=PaymentPromise,
        rows=lambda order: PaymentPromise.objects.filter(order=order).order_by("-pk"),
        columns=("created_at", npr("amount"), "until", "state", "note"),
        more="order__id__exact",
    ),
)
add_panel(
    Order,
    Panel(
        title="Disputes",
        model=InvoiceDispute,
        rows=lambda order: InvoiceDispute.objects.filter(order=order).order_by("-pk"),
        columns=("opened_at", "reason", "resolved_at", "resolution"),
        more="resolution=all&order__id__exact",
    ),
)
add_panel(
    Retailer,
    Panel(
        title="Reminders",
        model=ReminderNotice,
        rows=lambda shop: ReminderNotice.objects.filter(retailer=shop).order_by("-day"),
        columns=("day", npr("amount"), "state", "sent_at", "reason"),
        more="retailer__id__exact",
        limit=10,
    ),
)
add_panel(
    Retailer,
    Panel(
        title="Promises",
        model=PaymentPromise,
        rows=_of_shop(PaymentPromise),
        columns=PROMISE_COLUMNS,
        more="retailer__id__exact",
        limit=10,
    ),
)
add_panel(
    Retailer,
    Panel(
        title="Disputes",
        model=InvoiceDispute,
        rows=_of_shop(InvoiceDispute),
        columns=("opened_at", "order", "reason", "resolved_at", "resolution"),
        more="resolution=all&retailer__id__exact",
        limit=10,
    ),
)
add_panel(
    Retailer,
    Panel(
        title="Collection tasks",
        model=CollectionTask,
        rows=_of_shop(CollectionTask),
        columns=TASK_COLUMNS,
        more="retailer__id__exact",
        limit=10,
    ),
)
