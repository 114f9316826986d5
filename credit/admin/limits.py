"""Changes of limits waiting for a second person, and the approvals that exceed limits once."""

from decimal import Decimal

from django.contrib import admin

from credit import services
from credit.enums import RequestState
from credit.models import (
    CreditApproval,
    LimitChange,
)
from khaacho.adminsite import (
    KhaachoModelAdmin,
    Verb,
    by_code,
    computed,
    exactly,
    npr,
    open_first,
    sections,
)
from khaacho.adminsite.forms import NprField, ReasonForm


class LimitForm(ReasonForm):
    new_limit = NprField(label="New limit (NPR)", min_value=Decimal(0))
    field_order = ("new_limit", "reason")


LARGE_RISE = (
    "The new limit applies at once. A large rise waits for a second person and is listed"
    " under limit changes until then. A cut below today's exposure stops new credit only."
)


@computed("limit of")
def _scope(change: LimitChange) -> str:
    return str(change.account.vendor) if change.account else "the platform"


def _decided(change: LimitChange) -> str:
    return "" if change.state == RequestState.PENDING else f"it is {change.state.lower()}"


@admin.register(LimitChange)
class LimitChangeAdmin(KhaachoModelAdmin):
    entity_type = "limit_change"
    list_display = (
        "created_at",
        "retailer",
        _scope,
        npr("old_limit"),
        npr("new_limit"),
        "state",
        "is_automatic",
        "requested_by",
        "decided_by",
    )
    list_select_related = ("retailer", "account__vendor", "requested_by", "decided_by")
    list_filter = (open_first("state", RequestState, RequestState.PENDING),)
    searches = (by_code("retailer__code", "RTL", "retailer"),)
    fieldsets = sections(
        (None, ("retailer", "account", _scope)),
        ("Limit", (npr("old_limit"), npr("new_limit"), "reason")),
        (
            "Decision",
            (
                "state",
                "needs_second_person",
                "is_automatic",
                "requested_by",
                "created_at",
                "decided_by",
                "decided_at",
            ),
        ),
    )
    verbs = (
        Verb(
            name="approve_limit_change",
            label="Approve",
            permission="credit.decide_limit_change",
            run=lambda change, fields, actor: services.decide_limit_change(
                change_id=change.pk, approve=True, actor=actor
            ),
            effect="The new limit applies at once.",
            done="The new limit applies.",
            hindrance=_decided,
        ),
        Verb(
            name="decline_limit_change",
            label="Decline",
            permission="credit.decide_limit_change",
            run=lambda change, fields, actor: services.decide_limit_change(
                change_id=change.pk, approve=False, actor=actor
            ),
            effect="The limit stays as it is.",
            done="The change is declined.",
            hindrance=_decided,
            is_grave=True,
        ),
    )


@admin.register(CreditApproval)
class CreditApprovalAdmin(KhaachoModelAdmin):
    entity_type = "credit_approval"
    list_display = ("created_at", "account", npr("amount"), "approved_by", "used_for", "reason")
    list_select_related = ("account", "approved_by")
    searches = (exactly("used_for", "order number", r"ORD-[\d-]+"),)
    fieldsets = sections(
        (None, ("account", npr("amount"), "reason", "approved_by", "used_for")),
        ("Dates", ("created_at",)),
    )
