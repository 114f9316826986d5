"""Each act: a permission of its own, a question first, then the deed with the actor's name on it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import Permission
from django.utils import timezone

from credit import services as credit
from credit.enums import RequestState
from credit.models import CreditAccount, LimitChange, Retailer
from khaacho import job_desk, jobs
from khaacho.actors import SYSTEM
from khaacho.adminsite import KhaachoModelAdmin
from khaacho.alerts import raise_alert
from khaacho.enums import Role
from khaacho.models import Alert, AuditLog, Job, QueueSetting, User
from khaacho.permissions import ACTS
from monitoring.alerting import rules
from monitoring.enums import AdviceState, ReportState
from monitoring.models import AlertRule
from orders.enums import RefusalState
from orders.models import Order, OrderRefusal, OrderStatusLog
from payments import services as payments
from payments.enums import PaymentMethod, PaymentState, TaskKind
from payments.models import CollectionTask, InvoiceDispute, Payment, PaymentPromise
from tests.admin.conftest import signed_in
from tests.admin.desk import act, ask, list_of, page_of, texts
from tests.admin.trade import make_advice, make_paid_order, make_refusal, make_report
from tests.factories import (
    advance,
    make_actor,
    make_offer,
    make_order,
    make_retailer,
    make_user,
    make_vendor,
)
from vendors import services as vendors
from vendors.models import Vendor, VendorProduct


def order_at(status: str) -> Callable[[], Order]:
    def make() -> Order:
        order = make_order(make_retailer(), make_offer())
        return order if status == "PLACED" else advance(order, status)

    return make


def blocked_vendor() -> Vendor:
    return vendors.block_vendor(vendor_id=make_vendor().pk, reason="late", actor=SYSTEM)


def blocked_shop() -> Retailer:
    return credit.block_retailer(retailer_id=make_retailer().pk, reason="late", actor=SYSTEM)


def account() -> CreditAccount:
    make_order(make_retailer(), make_offer())
    return CreditAccount.objects.get()


def frozen_account() -> CreditAccount:
    found = account()
    credit.freeze_account(account_id=found.pk, reason="looks wrong", actor=SYSTEM)
    return found


def pending_change() -> LimitChange:
    return credit.change_limit(
        retailer_id=make_retailer().pk,
        new_limit=Decimal(900_000),
        reason="grows",
        actor=make_actor(),
    )


def payment() -> Payment:
    make_paid_order()
    return Payment.objects.get()


def due_order() -> Order:
    """A delivered order that is not paid."""
    return advance(make_order(make_retailer(), make_offer()), "DELIVERED")


def promise() -> PaymentPromise:
    order = due_order()
    return payments.record_promise(
        retailer_id=order.retailer_id,
        order_id=order.pk,
        until=timezone.localdate() + timedelta(days=3),
        actor=SYSTEM,
    )


def dispute() -> InvoiceDispute:
    return payments.open_dispute(order_id=due_order().pk, reason="torn bags", actor=SYSTEM)


def collection_task() -> CollectionTask:
    order = due_order()
    return CollectionTask.objects.create(
        kind=TaskKind.CALL, retailer_id=order.retailer_id, order=order
    )


def dead_job() -> Job:
    pk = jobs.enqueue("orders.mark_overdue")
    Job.objects.filter(pk=pk).update(state="dead", attempts=3)
    return Job.objects.get(pk=pk)


def paused_queue() -> QueueSetting:
    job_desk.pause("reports", "the disk is full", SYSTEM)
    return QueueSetting.objects.get()


def running_queue() -> QueueSetting:
    job_desk.pause("reports", "the disk is full", SYSTEM)
    job_desk.resume("reports", SYSTEM)
    return QueueSetting.objects.get()


def queue_with_a_dead_job() -> QueueSetting:
    dead_job()
    Job.objects.update(queue="reports")
    return running_queue()


def alert() -> Alert:
    raise_alert("order.unroutable", "Nobody is left.", entity_type="order", entity_id=1)
    return Alert.objects.get()


def inactive_user() -> User:
    return make_user(Role.RETAILER, is_active=False)


REASON = {"reason": "as agreed on the phone"}


@dataclass
class Case:
    """A verb: what it is done to, with which fields, and what the record is afterwards."""

    verb: str
    make: Callable[[], Any]
    after: dict[str, Any]
    fields: dict[str, Any] = field(default_factory=dict)
    permission: str = ""

    @property
    def codename(self) -> str:
        return self.permission or self.verb


def make_rule() -> AlertRule:
    rules.add_missing()
    return AlertRule.objects.get(measure="jobs_dead", severity="warning")


CASES = [
    Case("approve_vendor", lambda: make_vendor(approved=False), {"is_approved": True}),
    Case("block_vendor", make_vendor, {"is_blocked": True}, REASON),
    Case("unblock_vendor", blocked_vendor, {"is_blocked": False}),
    Case(
        "change_offer",
        make_offer,
        {"vendor_price": Decimal("1250.50"), "stock": 97, "is_available": False},
        {"vendor_price": "1,250.50", "stock_delta": "-3"},
    ),
    Case("withdraw_offer", make_offer, {"is_available": False}),
    Case("approve_retailer", lambda: make_retailer(approved=False), {"is_approved": True}),
    Case("block_retailer", make_retailer, {"is_blocked": True}, REASON),
    Case("unblock_retailer", blocked_shop, {"is_blocked": False}),
    Case(
        "change_platform_limit",
        make_retailer,
        {"credit_limit": Decimal("150000.00")},
        REASON | {"new_limit": "1,50,000"},
    ),
    Case("rescore_retailer", make_retailer, {"credit_score": 630}),
    Case(
        "change_account_limit",
        account,
        {"credit_limit": Decimal("50000.00")},
        REASON | {"new_limit": "NPR 50,000.00"},
    ),
    Case("change_terms", account, {"payment_terms_days": 45}, {"payment_terms_days": "45"}),
    Case("freeze_account", account, {"is_frozen": True}, REASON),
    Case("unfreeze_account", frozen_account, {"is_frozen": False}, REASON),
    Case(
        "approve_limit_change",
        pending_change,
        {"state": RequestState.APPROVED},
        permission="decide_limit_change",
    ),
    Case(
        "decline_limit_change",
        pending_change,
        {"state": RequestState.DECLINED},
        permission="decide_limit_change",
    ),
    Case("reroute_order", order_at("PLACED"), {"status": "PENDING"}),
    Case("accept_order", order_at("PENDING"), {"status": "ACCEPTED"}),
    Case("reject_order", order_at("PENDING"), {"status": "PLACED"}, REASON),
    Case("pack_order", order_at("ACCEPTED"), {"status": "PACKING"}),
    Case("dispatch_order", order_at("PACKING"), {"status": "DISPATCHED"}),
    Case("send_out_order", order_at("DISPATCHED"), {"status": "OUT_FOR_DELIVERY"}),
    Case("deliver_order", order_at("OUT_FOR_DELIVERY"), {"status": "DELIVERED"}),
    Case("complete_order", order_at("DELIVERED"), {"status": "COMPLETED"}),
    Case("cancel_order", order_at("ACCEPTED"), {"status": "CANCELLED"}, REASON),
    Case("approve_refusal", make_refusal, {"state": RefusalState.APPROVED}, REASON),
    Case("decline_refusal", make_refusal, {"state": RefusalState.DECLINED}, REASON),
    Case("reverse_payment", payment, {"payment_status": PaymentState.REVERSED}, REASON),
    Case("bounce_cheque", payment, {"bounced": True}, REASON),
    Case("retry_job", dead_job, {"state": "queued", "attempts": 0}),
    Case("cancel_job", dead_job, {"state": "cancelled"}, REASON),
    Case("pause_queue", running_queue, {"is_paused": True, "reason": REASON["reason"]}, REASON),
    Case("resume_queue", paused_queue, {"is_paused": False, "reason": ""}),
    Case("requeue_dead", queue_with_a_dead_job, {}, permission="requeue"),
    Case("acknowledge_alert", alert, {}),
    Case("resolve_alert", alert, {}, REASON),
    Case("reset_password", lambda: make_user(Role.RETAILER), {}, {"password": "a long new one"}),
    Case("deactivate_user", lambda: make_user(Role.RETAILER), {"is_active": False}, REASON),
    Case("activate_user", inactive_user, {"is_active": True}),
    Case("cancel_promise", promise, {"state": "CANCELLED"}, REASON),
    Case(
        "resolve_dispute",
        dispute,
        {"resolution": "weighed again"},
        {"resolution": "weighed again"},
    ),
    Case(
        "finish_task",
        collection_task,
        {"state": "DONE", "outcome": "pays on Friday"},
        {"outcome": "pays on Friday"},
    ),
    Case("cancel_report", make_report, {"state": ReportState.CANCELLED}),
    Case(
        "change_rule",
        make_rule,
        {"threshold": 5.0, "cool_down_minutes": 30, "is_enabled": False},
        {"threshold": "5", "cool_down_minutes": "30", **REASON},
    ),
    Case(
        "dismiss_advice",
        make_advice,
        {"state": AdviceState.DISMISSED},
        REASON,
        permission="dismiss_indexadvice",
    ),
    Case(
        "reopen_advice",
        lambda: make_advice(state=AdviceState.DISMISSED),
        {"state": AdviceState.OPEN},
        permission="dismiss_indexadvice",
    ),
]
IDS = [case.verb for case in CASES]


def allowed(record: Any, *codenames: str) -> User:
    """Return an operator who may view such records and nothing else but the acts named."""
    user = make_user(Role.OPERATOR)
    options = record._meta
    user.user_permissions.set(
        Permission.objects.filter(
            content_type__app_label=options.app_label,
            codename__in=[f"view_{options.model_name}", *codenames],
        )
    )
    return user


def state_of(record: Any, case: Case) -> dict[str, Any]:
    found = type(record)._base_manager.get(pk=record.pk)
    return {name: getattr(found, name) for name in case.after}


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_asks_first_then_acts_with_the_actors_name(groups, case: Case):
    record = case.make()
    before = state_of(record, case)
    user = allowed(record, case.codename)
    client = signed_in(user)
    newest = AuditLog.objects.order_by("-pk").values_list("pk", flat=True).first() or 0

    question = ask(client, record, case.verb)
    assert question.status_code == 200
    assert question.context["verb"].effect in question.content.decode().replace("&#x27;", "'")
    assert state_of(record, case) == before

    done = act(client, record, case.verb, **case.fields)
    assert done.redirect_chain, texts(done)
    assert state_of(record, case) == before | case.after
    audited = AuditLog.objects.filter(pk__gt=newest, user=user).exists()
    logged = OrderStatusLog.objects.filter(actor=user).exists()
    assert audited or logged or case.verb == "change_offer"


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_refuses_without_the_permission_of_this_very_act(groups, case: Case):
    record = case.make()
    before = state_of(record, case)
    others = [c.codename for c in CASES if c.codename != case.codename]
    client = signed_in(allowed(record, *others))
    assert case.verb not in [verb.name for verb in client.get(page_of(record)).context["verbs"]]
    assert ask(client, record, case.verb).status_code == 403
    assert act(client, record, case.verb, **case.fields).status_code == 403
    assert state_of(record, case) == before


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_second_of_two_is_told_and_changes_nothing(groups, case: Case):
    record = case.make()
    client = signed_in(allowed(record, case.codename))
    for_once = {"token": "the-same-form"}
    act(client, record, case.verb, **case.fields, **for_once)
    once = state_of(record, case)
    again = act(client, record, case.verb, **case.fields, **for_once)
    assert "not possible" in texts(again) or "sent already" in texts(again)
    assert state_of(record, case) == once


@pytest.mark.parametrize("case", [c for c in CASES if "reason" in c.fields], ids=lambda c: c.verb)
def test_a_reason_is_needed(groups, case: Case):
    record = case.make()
    before = state_of(record, case)
    client = signed_in(allowed(record, case.codename))
    response = act(client, record, case.verb, **case.fields | {"reason": " "})
    assert response.context["form"].errors["reason"] == ["This field is required."]
    assert state_of(record, case) == before


def test_a_get_asks_nothing_and_does_nothing(admin):
    order = order_at("ACCEPTED")()
    response = admin.get(f"/admin/orders/order/{order.pk}/verb/cancel_order/")
    assert response.status_code == 302
    assert response["Location"] == page_of(order)
    assert Order.objects.get().status == "ACCEPTED"


def test_an_unknown_verb_or_record_is_not_found(admin):
    order = order_at("PLACED")()
    assert ask(admin, order, "delete_everything").status_code == 404
    assert admin.post("/admin/orders/order/999999/verb/cancel_order/").status_code == 404


def test_every_permission_has_a_verb_and_every_verb_a_permission():
    used = set()
    for model, found in django_admin.site._registry.items():
        if isinstance(found, KhaachoModelAdmin):
            used |= {
                (model._meta.label_lower, verb.permission)
                for verb in (*found.verbs, *found.list_verbs)
            }
    declared = {
        (label, f"{label.split('.')[0]}.{codename}")
        for label, acts in ACTS.items()
        for codename in acts
    }
    by_api_alone = {("orders.order", "orders.place_order")}
    by_a_link = {("monitoring.report", "monitoring.download_report")}
    of_pages = {("monitoring.jobminute", "monitoring.view_database")} | {
        ("monitoring.maintenancerun", f"monitoring.{codename}")
        for codename in ACTS["monitoring.maintenancerun"]
    }
    of_a_whole_queue = {("khaacho.queuesetting", "khaacho.requeue")}
    assert used == declared - by_api_alone - by_a_link - of_pages | of_a_whole_queue


def test_every_verb_of_a_record_is_tried_here():
    verbs = {
        verb.name
        for found in django_admin.site._registry.values()
        if isinstance(found, KhaachoModelAdmin)
        for verb in found.verbs
    }
    assert verbs == set(IDS)


@pytest.mark.parametrize("status", ["PLACED", "PENDING", "ACCEPTED", "DELIVERED", "COMPLETED"])
def test_an_order_shows_the_verbs_of_its_state(admin, status: str):
    order = order_at(status)()
    shown = {verb.name for verb in admin.get(page_of(order)).context["verbs"]}
    assert (
        shown
        == {
            "PLACED": {"reroute_order", "cancel_order"},
            "PENDING": {"accept_order", "reject_order", "cancel_order"},
            "ACCEPTED": {"pack_order", "cancel_order"},
            "DELIVERED": {"complete_order"},
            "COMPLETED": set(),
        }[status]
    )


def test_what_a_service_refuses_is_a_message_and_the_form_keeps_its_input(admin):
    refusal = make_refusal()
    VendorProduct.objects.filter(vendor=refusal.vendor).update(stock=0)
    response = act(admin, refusal, "approve_refusal", reason="a good shop")
    assert response.status_code == 200
    assert not response.redirect_chain
    assert response.context["form"]["reason"].value() == "a good shop"
    assert "stock" in texts(response).lower()
    refusal.refresh_from_db()
    assert refusal.state == RefusalState.OPEN
    assert not Order.objects.filter(retailer=refusal.retailer).exists()


def test_a_refusal_that_cannot_be_approved_is_not_kept_a_second_time(admin):
    refusal = make_refusal()
    credit.block_retailer(retailer_id=refusal.retailer_id, reason="late", actor=SYSTEM)
    response = act(admin, refusal, "approve_refusal", reason="a good shop")
    assert "blocked" in texts(response)
    kept = OrderRefusal.objects.get()
    assert (kept.code, kept.state) == ("credit_limit_exceeded", "OPEN")


def test_the_one_who_asked_for_a_large_rise_may_not_approve_it(groups):
    shop = make_retailer()
    user = allowed(shop, "change_platform_limit", "view_limitchange", "decide_limit_change")
    client = signed_in(user)
    act(client, shop, "change_platform_limit", new_limit="9,00,000", reason="grows")
    change = LimitChange.objects.get()
    shop.refresh_from_db()
    assert (change.state, shop.credit_limit) == (RequestState.PENDING, Decimal("100000.00"))
    response = act(client, change, "approve_limit_change")
    assert "second person" in texts(response)
    shop.refresh_from_db()
    assert shop.credit_limit == Decimal("100000.00")
    act(signed_in(allowed(change, "decide_limit_change")), change, "approve_limit_change")
    shop.refresh_from_db()
    assert shop.credit_limit == Decimal("900000.00")


def test_the_credit_desk_shows_what_waits_with_its_numbers(admin):
    refusal = make_refusal(credit_limit=100, price=500)
    page = admin.get(list_of(OrderRefusal)).content.decode()
    assert refusal.retailer.shop_name in page
    for amount in ("NPR 500.00", "NPR 100.00", "NPR 400.00"):
        assert amount in page
    act(admin, refusal, "decline_refusal", reason="pays late")
    assert admin.get(list_of(OrderRefusal)).context["cl"].result_count == 0
    assert admin.get(list_of(OrderRefusal), {"state": "all"}).context["cl"].result_count == 1


def test_an_approved_refusal_leads_to_its_order(admin, admin_user):
    refusal = make_refusal()
    response = act(admin, refusal, "approve_refusal", reason="a good shop")
    refusal.refresh_from_db()
    assert page_of(refusal.order) in response.content.decode()
    assert refusal.order.credit_approval.approved_by == admin_user
    assert refusal.decided_by == admin_user


def test_freezing_names_the_officer_in_the_audit_of_the_row(groups):
    found = account()
    user = allowed(found, "freeze_account")
    act(signed_in(user), found, "freeze_account", **REASON)
    entry = AuditLog.objects.get(action="credit_account.updated")
    assert (entry.user, entry.reason) == (user, REASON["reason"])
    assert entry.new_values["is_frozen"] is True


def test_cancelling_releases_credit_and_logs_the_reason(admin, admin_user):
    order = order_at("ACCEPTED")()
    act(admin, order, "cancel_order", reason="closed for the feast")
    order.refresh_from_db()
    entry = OrderStatusLog.objects.get(to_status="CANCELLED")
    assert (entry.actor, entry.reason) == (admin_user, "closed for the feast")
    assert order.cancel_reason == "closed for the feast"
    assert CreditAccount.objects.get().reserved == 0


def test_a_double_click_does_a_payment_once(admin):
    order = advance(make_order(make_retailer(), make_offer()), "DELIVERED")
    data = {
        "retailer": order.retailer_id,
        "vendor": order.vendor_id,
        "amount": "60",
        "method": "CASH",
        "token": "once",
        "_confirm": "1",
    }
    address = f"{list_of(Payment)}verb/record_payment/"
    first = admin.post(address, data, follow=True)
    second = admin.post(address, data, follow=True)
    assert "is recorded" in texts(first)
    assert "sent already" in texts(second)
    assert Payment.objects.count() == 1


def test_recording_a_payment_shows_what_it_will_pay(admin, admin_user):
    offer = make_offer(price=60_000)
    shop = make_retailer()
    order = advance(make_order(shop, offer), "DELIVERED")
    address = f"{list_of(Payment)}verb/record_payment/"
    assert admin.get(address).status_code == 200
    data = {
        "retailer": shop.pk,
        "vendor": offer.vendor_id,
        "amount": "1,00,000.50",
        "method": "CHEQUE",
        "reference": "C-77",
    }
    preview = admin.post(address, data | {"_preview": "1"}).content.decode()
    assert f"{order.order_number} (due" in preview
    assert "NPR 60,000.00" in preview
    assert "Advance on the account: NPR 40,000.50" in preview
    assert not Payment.objects.exists()
    done = admin.post(address, data | {"_confirm": "1"}, follow=True)
    payment = Payment.objects.get()
    assert done.redirect_chain[-1][0] == page_of(payment)
    assert (payment.amount, payment.received_by) == (Decimal("100000.50"), admin_user)
    assert payment.payment_status == PaymentState.PROCESSED


def test_a_transaction_taken_before_is_refused_with_the_form_as_it_was(admin):
    order = advance(make_order(make_retailer(), make_offer()), "DELIVERED")
    payments.record_payment(
        retailer_id=order.retailer_id,
        vendor_id=order.vendor_id,
        amount=Decimal(1),
        method=PaymentMethod.BANK_TRANSFER,
        transaction_id="TX-1",
        actor=SYSTEM,
    )
    data = {
        "retailer": order.retailer_id,
        "vendor": order.vendor_id,
        "amount": "60",
        "method": "BANK_TRANSFER",
        "transaction_id": "TX-1",
        "_confirm": "1",
    }
    response = admin.post(f"{list_of(Payment)}verb/record_payment/", data)
    assert "recorded already" in texts(response)
    assert response.context["form"]["amount"].value() == "60"
    assert Payment.objects.count() == 1


@pytest.mark.parametrize("amount", ["0", "-5", "", "a lot", "NaN", "1e30", "1.234"])
def test_no_payment_of_a_strange_amount(admin, amount: str):
    order = advance(make_order(make_retailer(), make_offer()), "DELIVERED")
    data = {"retailer": order.retailer_id, "vendor": order.vendor_id, "method": "CASH"}
    response = admin.post(
        f"{list_of(Payment)}verb/record_payment/", data | {"amount": amount, "_confirm": "1"}
    )
    assert response.context["form"].errors["amount"]
    assert not Payment.objects.exists()


def test_registering_a_shop_and_a_wholesaler(admin):
    place = {"municipality": "Birendranagar", "district": "Surkhet", "province": "Karnali"}
    shop = place | {"shop_name": "Maya Store", "name": "Maya", "phone": "9812345678"}
    admin.post(f"{list_of(Retailer)}verb/register_retailer/", shop | {"_confirm": "1"})
    found = Retailer.objects.get()
    assert (found.user.phone, found.is_approved) == ("+9779812345678", False)
    again = admin.post(f"{list_of(Retailer)}verb/register_retailer/", shop | {"_confirm": "1"})
    assert "registered already" in texts(again)
    vendor = place | {"business_name": "Om Traders", "name": "Om", "phone": "9812345679"}
    admin.post(f"{list_of(Vendor)}verb/register_vendor/", vendor | {"_confirm": "1"})
    assert Vendor.objects.get().user.phone == "+9779812345679"


def test_creating_an_offer(admin):
    offer = make_offer()
    other = make_vendor()
    data = {"vendor": other.pk, "product": offer.product_id, "vendor_price": "99.50", "stock": "7"}
    address = f"{list_of(VendorProduct)}verb/create_offer/"
    admin.post(address, data | {"is_available": "on", "_confirm": "1"})
    made = VendorProduct.objects.get(vendor=other)
    assert (made.vendor_price, made.stock, made.is_available) == (Decimal("99.50"), 7, True)
    again = admin.post(address, data | {"_confirm": "1"})
    assert "already" in texts(again)
