"""Retailers: descriptions are edited, standing and limits change by acts."""

from typing import Any

from django import forms
from django.contrib import admin

from credit import services
from credit.admin.limits import LARGE_RISE, LimitForm
from credit.models import (
    CreditAccount,
    CreditScore,
    LimitChange,
    Retailer,
    RetailerQuerySet,
)
from credit.selectors import retailers_like
from khaacho.actors import Actor
from khaacho.adminsite import (
    KhaachoModelAdmin,
    Panel,
    Verb,
    by_code,
    by_name,
    by_phone,
    computed,
    narrowed,
    npr,
    sections,
)
from khaacho.adminsite.forms import PhoneField, PlaceForm, ReasonForm, pan_field
from khaacho.money import format_npr
from vendors.services import Place


class RegisterRetailerForm(PlaceForm):
    shop_name = forms.CharField(max_length=160)
    name = forms.CharField(max_length=120, label="Contact person")
    phone = PhoneField()
    pan_number = pan_field()
    password = forms.CharField(
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Without one they cannot sign in until it is reset.",
    )
    field_order = ("shop_name", "name", "phone", "password", "pan_number")


def _register(_: None, fields: dict[str, Any], actor: Actor) -> Retailer:
    place = {name: fields.pop(name) for name in PlaceForm.base_fields}
    fields["password"] = fields["password"] or None
    return services.register_retailer(**fields, place=Place(**place), actor=actor)


def _change_platform_limit(retailer: Retailer, fields: dict[str, Any], actor: Actor) -> LimitChange:
    return services.change_limit(
        retailer_id=retailer.pk,
        new_limit=fields["new_limit"],
        reason=fields["reason"],
        actor=actor,
    )


RETAILER_VERBS = (
    Verb(
        name="approve_retailer",
        label="Approve",
        permission="credit.approve_retailer",
        run=lambda shop, fields, actor: services.approve_retailer(retailer_id=shop.pk, actor=actor),
        effect="The shop can order, for cash until it has a credit limit.",
        done="{record} is approved.",
        hindrance=lambda shop: "it is approved already" if shop.is_approved else "",
        bulk=True,
    ),
    Verb(
        name="block_retailer",
        label="Block",
        permission="credit.block_retailer",
        run=lambda shop, fields, actor: services.block_retailer(
            retailer_id=shop.pk, reason=fields["reason"], actor=actor
        ),
        effect="The shop can no longer order; it can still sign in, read and pay.",
        done="{record} is blocked.",
        form=ReasonForm,
        hindrance=lambda shop: "it is blocked already" if shop.is_blocked else "",
        bulk=True,
        is_grave=True,
    ),
    Verb(
        name="unblock_retailer",
        label="Unblock",
        permission="credit.unblock_retailer",
        run=lambda shop, fields, actor: services.unblock_retailer(retailer_id=shop.pk, actor=actor),
        effect="The shop can order again.",
        done="{record} is no longer blocked.",
        hindrance=lambda shop: "" if shop.is_blocked else "it is not blocked",
        bulk=True,
    ),
    Verb(
        name="change_platform_limit",
        label="Change limit",
        permission="credit.change_platform_limit",
        run=_change_platform_limit,
        effect=LARGE_RISE,
        done="The change of {record}'s limit is recorded; see its limit changes.",
        form=LimitForm,
        initial=lambda shop: {"new_limit": shop.credit_limit},
    ),
    Verb(
        name="rescore_retailer",
        label="Rescore now",
        permission="credit.rescore_retailer",
        run=lambda shop, fields, actor: services.ask_for_scoring(retailer_id=shop.pk, actor=actor),
        effect="The score is computed from today's facts in a moment; it is kept if anything changed.",
        done="{record} is being scored.",
    ),
)


@computed("exposure")
def _exposure(shop: Retailer) -> str:
    return format_npr(shop.outstanding_debt + shop.reserved_credit)


@computed("available")
def _available(shop: Retailer) -> str:
    return format_npr(shop.credit_limit - shop.outstanding_debt - shop.reserved_credit)


class RetailerForm(forms.ModelForm):  # type: ignore[type-arg] # generic in the stubs alone
    pan_number = pan_field()


@admin.register(Retailer)
class RetailerAdmin(KhaachoModelAdmin):
    entity_type = "retailer"
    form = RetailerForm
    list_display = (
        "code",
        "shop_name",
        "district",
        "is_approved",
        "is_blocked",
        npr("credit_limit"),
        npr("outstanding_debt"),
        "credit_score",
    )
    list_display_links = ("code", "shop_name")
    list_filter = (
        narrowed("debt", owing=("Owing, most first", RetailerQuerySet.owing)),
        narrowed("score", live=("Live, best first", RetailerQuerySet.live)),
        "is_approved",
        "is_blocked",
    )
    ordering_when = {"debt": ("-outstanding_debt",), "score": ("-credit_score",)}
    sortable_by = ("code",)
    searches = (
        by_code("code", "RTL"),
        by_phone("user__phone"),
        by_name(retailers_like, "name of the shop or its owner"),
    )
    fieldsets = sections(
        (None, ("code", "shop_name", "shop_name_ne", "pan_number", "user")),
        ("Place", ("address", "municipality", "district", "province")),
        ("Standing", ("is_approved", "approved_at", "is_blocked", "blocked_reason")),
        (
            "Credit",
            (
                npr("credit_limit"),
                npr("outstanding_debt"),
                npr("reserved_credit"),
                _exposure,
                _available,
                "credit_score",
            ),
        ),
        ("Dates", ("created_at", "deleted_at")),
    )
    editable = (
        "shop_name",
        "shop_name_ne",
        "pan_number",
        "address",
        "municipality",
        "district",
        "province",
    )
    verbs = RETAILER_VERBS
    list_verbs = (
        Verb(
            name="register_retailer",
            label="Register retailer",
            permission="credit.register_retailer",
            run=_register,
            effect="The shop and its user are created; it cannot order until approved.",
            done="{record} is registered.",
            form=RegisterRetailerForm,
        ),
    )
    panels = (
        Panel(
            title="Accounts",
            model=CreditAccount,
            rows=lambda shop: (
                CreditAccount.objects.filter(retailer=shop)
                .select_related("vendor")
                .order_by("-balance")
            ),
            columns=(
                "vendor",
                npr("balance"),
                npr("reserved"),
                npr("credit_limit"),
                "payment_terms_days",
                "is_frozen",
            ),
            more="retailer__id__exact",
        ),
        Panel(
            title="Limit changes",
            model=LimitChange,
            rows=lambda shop: (
                LimitChange.objects.filter(retailer=shop)
                .select_related("account__vendor", "requested_by", "decided_by")
                .order_by("-pk")
            ),
            columns=(
                "created_at",
                "account",
                npr("old_limit"),
                npr("new_limit"),
                "state",
                "requested_by",
                "decided_by",
            ),
            more="retailer__id__exact",
            limit=10,
        ),
        Panel(
            title="Scores",
            model=CreditScore,
            rows=lambda shop: (
                CreditScore.objects.filter(retailer=shop)
                .defer("inputs", "components")
                .order_by("-created_at")
            ),
            columns=("created_at", "score", "band", "version", "reason"),
            more="retailer__id__exact",
            limit=10,
        ),
    )
