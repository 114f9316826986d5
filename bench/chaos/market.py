"""Who trades in a run: few wholesalers with much stock, few shops with much credit."""

from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.utils import timezone

from bench.chaos import kinds
from credit import services as credit
from khaacho import schedules, tokens
from khaacho.actors import SYSTEM, Actor
from khaacho.enums import Role
from vendors import services as vendors
from vendors.models import Product
from vendors.services import Place

PLACE = Place(municipality="Birendranagar", district="Surkhet", province="Karnali")
VENDORS, OFFERS, SHOPS = 3, 3, 6
STOCK = 1_000_000  # packs of each offer
PRICE = Decimal("10.00")  # NPR, no tax; a shop's limit is good for 20,000 orders
PHONE = "+9779877"
QUICK_HASHER = "django.contrib.auth.hashers.MD5PasswordHasher"
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody


@dataclass(frozen=True)
class Market:
    """Actors by the id of their shop or vendor, and the products that each vendor offers."""

    shops: dict[int, Actor]
    vendors: dict[int, Actor]
    offers: dict[int, list[int]]


def prepare() -> None:
    """Make the tables and schedules of the run: a beat that starts without any may not see them come."""
    kinds.make_tables()
    for name in schedules.missing():
        schedules.create(name)


def open_market() -> Market:
    """Register everybody through the services."""
    settings.PASSWORD_HASHERS = [QUICK_HASHER]  # nobody signs in
    products = [
        Product.objects.create(sku=f"CHAOS-{n}", name=f"Rice {n}", category="Rice", tax_rate=0)
        for n in range(OFFERS)
    ]
    sellers, offers = {}, {}
    for number in range(VENDORS):
        vendor = vendors.register_vendor(
            phone=f"{PHONE}1{number:05}",
            name="Ram",
            password=PASSWORD,
            business_name=f"Traders {number}",
            place=PLACE,
            actor=SYSTEM,
        )
        vendors.approve_vendor(vendor_id=vendor.pk, actor=SYSTEM)
        sellers[vendor.pk] = Actor(vendor.user_id, Role.VENDOR, vendor_id=vendor.pk)
        offers[vendor.pk] = [product.pk for product in products]
        for product in products:
            vendors.create_offer(
                vendor_id=vendor.pk,
                product_id=product.pk,
                vendor_price=PRICE,
                stock=STOCK,
                actor=SYSTEM,
            )
    return Market(_open_shops(), sellers, offers)


def _open_shops() -> dict[int, Actor]:
    shops = {}
    for number in range(SHOPS):
        shop = credit.register_retailer(
            phone=f"{PHONE}2{number:05}",
            name="Hari",
            password=PASSWORD,
            shop_name=f"Shop {number}",
            place=PLACE,
        )
        limit = settings.LIMIT_SECOND_PERSON_ABOVE
        credit.approve_retailer(retailer_id=shop.pk, actor=SYSTEM, credit_limit=limit)
        shops[shop.pk] = Actor(shop.user_id, Role.RETAILER, retailer_id=shop.pk)
    return shops


def bearer(actor: Actor) -> dict[str, str]:
    """Return the header that signs a request, good for some minutes; costs no query."""
    return {"Authorization": f"Bearer {tokens.access_token(actor, now=timezone.now())}"}
