"""Vendors, products and offers: descriptions are edited, everything else is an act."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from khaacho.actors import Actor
from khaacho.adminsite import (
    KhaachoModelAdmin,
    Panel,
    Verb,
    by_code,
    by_phone,
    by_text,
    computed,
    exactly,
    npr,
    sections,
)
from khaacho.adminsite.forms import (
    NprField,
    PhoneField,
    PlaceForm,
    ReasonForm,
    chooser,
    pan_field,
)
from vendors import services
from vendors.models import Product, Vendor, VendorProduct
from vendors.services import Place


class RegisterVendorForm(PlaceForm):
    business_name = forms.CharField(max_length=160)
    name = forms.CharField(max_length=120, label="Contact person")
    phone = PhoneField()
    password = forms.CharField(
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Without one they cannot sign in until it is reset.",
    )
    field_order = ("business_name", "name", "phone", "password")


def _register(_: None, fields: dict[str, Any], actor: Actor) -> Vendor:
    place = {name: fields.pop(name) for name in PlaceForm.base_fields}
    fields["password"] = fields["password"] or None
    return services.register_vendor(**fields, place=Place(**place), actor=actor)


VENDOR_VERBS = (
    Verb(
        name="approve_vendor",
        label="Approve",
        permission="vendors.approve_vendor",
        run=lambda vendor, fields, actor: services.approve_vendor(vendor_id=vendor.pk, actor=actor),
        effect="The vendor can be offered orders.",
        done="{record} is approved.",
        hindrance=lambda vendor: "it is approved already" if vendor.is_approved else "",
        bulk=True,
    ),
    Verb(
        name="block_vendor",
        label="Block",
        permission="vendors.block_vendor",
        run=lambda vendor, fields, actor: services.block_vendor(
            vendor_id=vendor.pk, reason=fields["reason"], actor=actor
        ),
        effect="No further orders are offered to the vendor; running ones go on.",
        done="{record} is blocked.",
        form=ReasonForm,
        hindrance=lambda vendor: "it is blocked already" if vendor.is_blocked else "",
        bulk=True,
        is_grave=True,
    ),
    Verb(
        name="unblock_vendor",
        label="Unblock",
        permission="vendors.unblock_vendor",
        run=lambda vendor, fields, actor: services.unblock_vendor(vendor_id=vendor.pk, actor=actor),
        effect="The vendor can be offered orders again.",
        done="{record} is no longer blocked.",
        hindrance=lambda vendor: "" if vendor.is_blocked else "it is not blocked",
        bulk=True,
    ),
)


class VendorForm(forms.ModelForm):  # type: ignore[type-arg] # generic in the stubs alone
    pan_number = pan_field()


@admin.register(Vendor)
class VendorAdmin(KhaachoModelAdmin):
    entity_type = "vendor"
    form = VendorForm
    list_display = (
        "code",
        "business_name",
        "district",
        "is_approved",
        "is_blocked",
        "rating",
        "orders_delivered",
        "created_at",
    )
    list_display_links = ("code", "business_name")
    list_filter = ("is_approved", "is_blocked")
    sortable_by = ("code",)
    searches = (
        by_code("code", "VND"),
        by_phone("user__phone"),
        by_text("business_name", "business name"),
    )
    fieldsets = sections(
        (
            None,
            ("code", "business_name", "business_name_ne", "pan_number", "user"),
        ),
        ("Place", ("address", "municipality", "district", "province")),
        (
            "Standing",
            ("is_approved", "approved_at", "is_blocked", "blocked_reason"),
        ),
        (
            "Statistics",
            (
                "rating",
                "orders_offered",
                "orders_accepted",
                "orders_delivered",
                "orders_cancelled",
                "fulfilment_hours",
                "statistics_at",
            ),
        ),
        ("Dates", ("created_at", "deleted_at")),
    )
    editable = (
        "business_name",
        "business_name_ne",
        "pan_number",
        "address",
        "municipality",
        "district",
        "province",
    )
    verbs = VENDOR_VERBS
    list_verbs = (
        Verb(
            name="register_vendor",
            label="Register vendor",
            permission="vendors.register_vendor",
            run=_register,
            effect="The vendor and its user are created; it is offered no orders until approved.",
            done="{record} is registered.",
            form=RegisterVendorForm,
        ),
    )
    panels = (
        Panel(
            title="Offers",
            model=VendorProduct,
            rows=lambda vendor: (
                VendorProduct.objects.filter(vendor=vendor, deleted_at=None)
                .select_related("product")
                .order_by("-pk")
            ),
            columns=("product", npr("vendor_price"), "stock", "reserved", "is_available"),
            more="vendor__id__exact",
        ),
    )


@admin.register(Product)
class ProductAdmin(KhaachoModelAdmin):
    entity_type = "product"
    list_display = ("sku", "name", "category", "unit", "pack_size", "tax_rate", "is_active")
    list_display_links = ("sku", "name")
    list_filter = ("is_active",)
    ordering_when = {"category": ("category", "sub_category")}
    sortable_by = ("sku",)
    searches = (exactly("sku", "SKU", r"[A-Z]+-[\w-]+"), by_text("name", "name"))
    fieldsets = sections(
        (None, ("sku", "name", "name_ne", "aliases", "brand")),
        ("Kind", ("category", "sub_category", "unit", "pack_size", "tax_rate")),
        ("Orders", ("min_quantity", "max_quantity", "is_active")),
        ("Dates", ("created_at", "updated_at", "deleted_at")),
    )
    editable = (
        "sku",
        "name",
        "name_ne",
        "aliases",
        "brand",
        "category",
        "sub_category",
        "unit",
        "pack_size",
        "tax_rate",
        "min_quantity",
        "max_quantity",
        "is_active",
    )
    panels = (
        Panel(
            title="Offers",
            model=VendorProduct,
            rows=lambda product: (
                VendorProduct.objects.filter(product=product, deleted_at=None)
                .select_related("vendor")
                .order_by("vendor_price")
            ),
            columns=("vendor", npr("vendor_price"), "stock", "reserved", "is_available"),
            more="product__id__exact",
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("vendors.add_product"))


class OfferForm(forms.Form):
    vendor_price = NprField(label="Price (NPR, without VAT)", max_digits=12)
    stock = forms.IntegerField(min_value=0, label="Packs on hand")
    is_available = forms.BooleanField(required=False, initial=True)


class NewOfferForm(OfferForm):
    vendor = chooser(VendorProduct, "vendor")
    product = chooser(VendorProduct, "product")
    field_order = ("vendor", "product")


class ChangeOfferForm(forms.Form):
    vendor_price = NprField(label="Price (NPR, without VAT)", max_digits=12)
    stock_delta = forms.IntegerField(
        required=False, label="Change of stock", help_text="Packs, like 20 or -3."
    )
    is_available = forms.BooleanField(required=False)


def _create_offer(_: None, fields: dict[str, Any], actor: Actor) -> VendorProduct:
    return services.create_offer(
        vendor_id=fields["vendor"].pk,
        product_id=fields["product"].pk,
        vendor_price=fields["vendor_price"],
        stock=fields["stock"],
        is_available=fields["is_available"],
        actor=actor,
    )


def _change_offer(offer: VendorProduct, fields: dict[str, Any], actor: Actor) -> VendorProduct:
    return services.change_offer(
        offer_id=offer.pk,
        vendor_price=fields["vendor_price"],
        stock_delta=fields["stock_delta"] or None,
        is_available=fields["is_available"],
        actor=actor,
    )


def _withdrawn(offer: VendorProduct) -> str:
    return "it is withdrawn" if offer.deleted_at else ""


@computed("live", boolean=True)
def _live(offer: VendorProduct) -> bool:
    return offer.deleted_at is None


@admin.register(VendorProduct)
class OfferAdmin(KhaachoModelAdmin):
    entity_type = "offer"
    list_display = (
        "id",
        "vendor",
        "product",
        npr("vendor_price", "price"),
        "stock",
        "reserved",
        "is_available",
        _live,
    )
    list_select_related = ("vendor", "product")
    searches = (
        by_code("vendor__code", "VND", "vendor"),
        exactly("product__sku", "SKU", r"[A-Z]+-[\w-]+"),
        by_text("product__name", "product name"),
    )
    fieldsets = sections(
        (None, ("vendor", "product", npr("vendor_price", "price"))),
        ("Stock", ("stock", "reserved", "is_available")),
        ("Dates", ("created_at", "updated_at", "deleted_at")),
    )
    verbs = (
        Verb(
            name="change_offer",
            label="Change offer",
            permission="vendors.change_offer",
            run=_change_offer,
            effect="Orders from now on see the new figures; placed ones keep what was agreed.",
            done="The offer is changed.",
            form=ChangeOfferForm,
            initial=lambda offer: {
                "vendor_price": offer.vendor_price,
                "is_available": offer.is_available,
            },
            hindrance=_withdrawn,
        ),
        Verb(
            name="withdraw_offer",
            label="Withdraw",
            permission="vendors.withdraw_offer",
            run=lambda offer, fields, actor: services.withdraw_offer(
                offer_id=offer.pk, actor=actor
            ),
            effect="The offer leaves the catalogue; orders that hold its stock go on.",
            done="The offer is withdrawn.",
            hindrance=_withdrawn,
            bulk=True,
            is_grave=True,
        ),
    )
    list_verbs = (
        Verb(
            name="create_offer",
            label="Create offer",
            permission="vendors.create_offer",
            run=_create_offer,
            effect="The vendor sells the product from now on.",
            done="The offer is on sale.",
            form=NewOfferForm,
        ),
    )
