"""Questions about vendors and the catalogue."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import (
    BooleanField,
    Exists,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.expressions import ExpressionWrapper

from khaacho import finding
from khaacho.models import User
from vendors.models import OfferQuerySet, Product, Vendor, VendorProduct


def vendor_id_of(user_id: int) -> int | None:
    """Return the id of the user's wholesale business; None when there is none. One query."""
    return (
        Vendor.objects.filter(user_id=user_id, deleted_at=None).values_list("pk", flat=True).first()
    )


@dataclass(frozen=True, kw_only=True)
class OfferWish:
    """What an offer on sale should be like; prices in NPR without VAT. None: no matter."""

    vendor_id: int | None = None
    in_stock: bool | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None

    def offers(self) -> OfferQuerySet:
        """Offers on sale from this vendor in this range of prices, in stock or not."""
        offers = VendorProduct.objects.on_sale()
        if self.vendor_id is not None:
            offers = offers.filter(vendor_id=self.vendor_id)
        if self.min_price is not None:
            offers = offers.filter(vendor_price__gte=self.min_price)
        if self.max_price is not None:
            offers = offers.filter(vendor_price__lte=self.max_price)
        return offers


ANYTHING = OfferWish()


def catalogue(wish: OfferWish = ANYTHING) -> QuerySet[Product]:
    """Active products with an offer that fits the wish, the best one as `best_offers[0]`.

    Without a wish also products that nobody offers. The best offer has stock, then the lowest price;
    expressions know it as `best_offer_id`. Two queries, however many rows.
    """
    offers = wish.offers()
    products = Product.objects.active().order_by("name", "id")
    if wish != ANYTHING:
        which = {None: offers, True: offers.in_stock(), False: offers.sold_out()}
        fitting = which[wish.in_stock]
        products = products.filter(Exists(fitting.filter(product_id=OuterRef("pk"))))
    if wish.in_stock is False:
        products = products.exclude(Exists(offers.in_stock().filter(product_id=OuterRef("pk"))))
    own = best_first(offers.filter(product_id=OuterRef("pk")))
    best = best_first(offers, "product_id").distinct("product_id").select_related("vendor")
    return products.alias(best_offer_id=Subquery(own.values("pk")[:1])).prefetch_related(
        Prefetch("offers", best, to_attr="best_offers")
    )


def best_first(offers: OfferQuerySet, *groups: str) -> OfferQuerySet:
    """Order offers: those with stock, then the cheapest, within `groups`."""
    has_stock = ExpressionWrapper(Q(stock__gt=F("reserved")), output_field=BooleanField())
    return offers.alias(has_stock=has_stock).order_by(*groups, "-has_stock", "vendor_price", "id")


def vendors_like(text: str, *, by_person: bool) -> QuerySet[Vendor]:
    """Ids of vendors whose name, English or Nepali, or code is like the text.

    `by_person`: also by who owns it and the phone, which is not everybody's to know.
    """
    every = Vendor.objects.all()
    ways = [
        every.filter(finding.words("business_name_ne", text)),
        every.filter(code__startswith=text.strip().upper()),
    ]
    if by_person:
        owner = User.objects.filter(finding.words("name", text))
        ways.append(every.filter(user__in=owner.values("pk")))
        if (phone := finding.phone("phone", text)) is not None:
            ways.append(every.filter(user__in=User.objects.filter(phone).values("pk")))
    return finding.ids(every.filter(finding.words("business_name", text)), *ways)


def offers_of_product(product_id: int) -> OfferQuerySet:
    """Offers on sale of one active product, by price."""
    offers = VendorProduct.objects.on_sale().filter(product_id=product_id)
    return offers.select_related("vendor", "product").order_by("vendor_price", "id")


def offers_of_vendor(vendor_id: int) -> OfferQuerySet:
    """What one approved vendor has on sale, by product name."""
    offers = VendorProduct.objects.on_sale().filter(vendor_id=vendor_id)
    return offers.select_related("vendor", "product").order_by("product__name", "id")


def own_offers(vendor_id: int | None) -> OfferQuerySet:
    """Every offer that a vendor has not withdrawn, whether on sale or not."""
    offers = VendorProduct.objects.filter(vendor_id=vendor_id or 0, deleted_at=None)
    return offers.select_related("vendor", "product").order_by("-id")


def active_products(product_ids: Collection[int]) -> set[int]:
    """Those of the ids that an active product has. One query."""
    return set(Product.objects.active().filter(pk__in=product_ids).values_list("pk", flat=True))
