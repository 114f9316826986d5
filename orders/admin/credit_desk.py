"""The credit desk: refused orders in one queue with their numbers."""

from django.contrib import admin
from django.http import HttpRequest

from credit.models import Retailer
from khaacho.adminsite import (
    KhaachoModelAdmin,
    Panel,
    Verb,
    add_panel,
    by_code,
    by_phone,
    computed,
    npr,
    open_first,
    pretty,
    sections,
)
from khaacho.adminsite.forms import ReasonForm
from orders import services
from orders.admin.columns import against
from orders.enums import RefusalState
from orders.models import (
    OrderRefusal,
)
from orders.services.credit_desk import APPROVABLE
from vendors.models import Product


def _decided(refusal: OrderRefusal) -> str:
    if refusal.state == RefusalState.OPEN:
        return ""
    return f"it was {RefusalState(refusal.state).label.lower()}"


def _not_approvable(refusal: OrderRefusal) -> str:
    if decided := _decided(refusal):
        return decided
    if refusal.code not in APPROVABLE:
        return "it is not about credit"
    return ""


@computed("request")
def _request(refusal: OrderRefusal) -> str:
    packs = {line["product_id"]: line["quantity"] for line in refusal.request["items"]}
    names = dict(Product.objects.filter(pk__in=packs).values_list("pk", "name"))
    return "\n".join(f"{n} × {names.get(pk, f'product {pk}')}" for pk, n in packs.items())


@computed("exposure now")
def _exposure_now(refusal: OrderRefusal) -> str:
    shop = refusal.retailer
    return against(shop.outstanding_debt + shop.reserved_credit, shop.credit_limit)


@computed("score")
def _score(refusal: OrderRefusal) -> int:
    return refusal.retailer.credit_score


@admin.register(OrderRefusal)
class RefusalAdmin(KhaachoModelAdmin):
    """The credit desk."""

    entity_type = "refusal"
    list_display = (
        "created_at",
        "code",
        "retailer",
        npr("requested"),
        npr("available"),
        npr("shortfall"),
        _score,
        "vendor",
        "state",
    )
    list_display_links = ("created_at", "retailer")
    list_select_related = ("retailer", "vendor")
    list_filter = (open_first("state", RefusalState, RefusalState.OPEN),)
    deferred = ("details", "request")
    searches = (
        by_code("retailer__code", "RTL", "retailer"),
        by_phone("retailer__user__phone"),
    )
    fieldsets = sections(
        (None, ("retailer", "vendor", "placed_by", "created_at")),
        (
            "Refusal",
            (
                ("code", "message"),
                (npr("requested"), npr("available"), npr("shortfall")),
                (_exposure_now, _score),
                _request,
                pretty("details"),
            ),
        ),
        (
            "Decision",
            (("state", "order"), "decision_reason", ("decided_by", "decided_at")),
        ),
    )
    verbs = (
        Verb(
            name="approve_refusal",
            label="Approve once",
            permission="orders.approve_refusal",
            run=lambda refusal, fields, actor: services.approve_refusal(
                refusal_id=refusal.pk, reason=fields["reason"], actor=actor
            ),
            effect="The order is placed now, at today's prices, although it exceeds the limits;"
            " this once and with your name on it.",
            done="The refused order is placed.",
            form=ReasonForm,
            hindrance=_not_approvable,
        ),
        Verb(
            name="decline_refusal",
            label="Decline",
            permission="orders.decline_refusal",
            run=lambda refusal, fields, actor: services.decline_refusal(
                refusal_id=refusal.pk, reason=fields["reason"], actor=actor
            ),
            effect="The order stays refused, with the reason on record.",
            done="The refusal stands.",
            form=ReasonForm,
            hindrance=_decided,
            bulk=True,
        ),
    )

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """The queue has an index by time; the whole table is read by its key."""
        is_queue = request.GET.get("state", RefusalState.OPEN) == RefusalState.OPEN
        return ("-created_at",) if is_queue else ("-pk",)


add_panel(
    Retailer,
    Panel(
        title="Refused orders",
        model=OrderRefusal,
        rows=lambda shop: (
            OrderRefusal.objects.filter(retailer=shop).defer("details", "request").order_by("-pk")
        ),
        columns=("created_at", "code", npr("requested"), npr("shortfall"), "state"),
        more="state=all&retailer__id__exact",
        limit=10,
    ),
)
