"""Plain functions that build state through the services, with exact and boring figures."""

from decimal import Decimal
from itertools import count

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection

from credit import services as credit
from credit.models import Retailer
from khaacho import permissions
from khaacho.actors import SYSTEM, Actor
from khaacho.enums import Role
from khaacho.models import User
from orders import services as orders
from orders.enums import PaymentTerms
from orders.models import Order
from orders.services import Line, OrderRequest
from vendors import services as vendors
from vendors.models import Product, Vendor, VendorProduct
from vendors.services import Place

_numbers = count(1)
HOME = Place(municipality="Birendranagar", district="Surkhet", province="Karnali")


def phone() -> str:
    return f"+97798{next(_numbers):08d}"


def make_user(role: Role = Role.OPERATOR, **fields) -> User:
    return User.objects.create_user(phone(), "correct horse", name="Sita", role=role, **fields)


def make_employee(*groups: str) -> User:
    """An operator of the groups named, or of Operations and Credit."""
    permissions.sync_groups()
    user = make_user()
    user.groups.set(Group.objects.filter(name__in=groups or ("Operations", "Credit")))
    return user


def make_actor(role: Role = Role.OPERATOR) -> Actor:
    user = make_user(role)
    return Actor(user_id=user.pk, role=role, name=user.name)


def make_vendor(*, approved: bool = True, place: Place = HOME) -> Vendor:
    vendor = vendors.register_vendor(
        phone=phone(),
        name="Ram",
        password="correct horse",
        business_name=f"Traders {next(_numbers)}",
        place=place,
        actor=SYSTEM,
    )
    return vendors.approve_vendor(vendor_id=vendor.pk, actor=SYSTEM) if approved else vendor


def make_retailer(
    *, credit_limit: Decimal | int = 100_000, approved: bool = True, place: Place = HOME
) -> Retailer:
    retailer = credit.register_retailer(
        phone=phone(),
        name="Hari",
        password="correct horse",
        shop_name=f"Shop {next(_numbers)}",
        place=place,
    )
    if not approved:
        return retailer
    limit = Decimal(credit_limit)
    if limit <= settings.LIMIT_SECOND_PERSON_ABOVE:
        return credit.approve_retailer(retailer_id=retailer.pk, actor=SYSTEM, credit_limit=limit)
    credit.approve_retailer(retailer_id=retailer.pk, actor=SYSTEM)
    change = credit.change_limit(
        retailer_id=retailer.pk, new_limit=limit, reason="opening", actor=SYSTEM
    )
    credit.decide_limit_change(change_id=change.pk, approve=True, actor=make_actor())
    retailer.refresh_from_db()
    return retailer


def make_product(*, tax_rate: int = 0, **fields) -> Product:
    number = next(_numbers)
    defaults = {
        "sku": f"SKU-{number}",
        "name": f"Rice {number}",
        "category": "Rice",
        "tax_rate": tax_rate,
    }
    return Product.objects.create(**defaults | fields)


def make_offer(
    vendor: Vendor | None = None,
    product: Product | None = None,
    *,
    price: Decimal | int = 100,
    stock: int = 100,
) -> VendorProduct:
    return vendors.create_offer(
        vendor_id=(vendor or make_vendor()).pk,
        product_id=(product or make_product()).pk,
        vendor_price=Decimal(price),
        stock=stock,
        actor=SYSTEM,
    )


def retailer_actor(retailer: Retailer) -> Actor:
    return Actor(user_id=retailer.user_id, role=Role.RETAILER, retailer_id=retailer.pk)


def vendor_actor(vendor: Vendor) -> Actor:
    return Actor(user_id=vendor.user_id, role=Role.VENDOR, vendor_id=vendor.pk)


def make_order(
    retailer: Retailer,
    *offers: VendorProduct,
    quantity: int = 1,
    terms: PaymentTerms = PaymentTerms.CREDIT,
    named: bool = True,
) -> Order:
    request = OrderRequest(
        retailer_id=retailer.pk,
        vendor_id=offers[0].vendor_id if named else None,
        payment_terms=terms,
        lines=tuple(Line(offer.product_id, quantity) for offer in offers),
    )
    return orders.place_order(request, actor=retailer_actor(retailer))


STEPS = {
    "PENDING": lambda order: orders.route_order(order_id=order.pk),
    "ACCEPTED": lambda order: orders.accept_order(order_id=order.pk, actor=SYSTEM),
    "PACKING": lambda order: orders.pack_order(order_id=order.pk, actor=SYSTEM),
    "DISPATCHED": lambda order: orders.dispatch_order(order_id=order.pk, actor=SYSTEM),
    "OUT_FOR_DELIVERY": lambda order: orders.send_out_order(order_id=order.pk, actor=SYSTEM),
    "DELIVERED": lambda order: orders.deliver_order(order_id=order.pk, actor=SYSTEM),
    "COMPLETED": lambda order: orders.complete_order(order_id=order.pk, actor=SYSTEM),
}


def advance(order: Order, to: str) -> Order:
    """Take a PLACED order along the straight way to a status."""
    for status, step in STEPS.items():
        order = step(order)
        if status == to:
            break
    return order


def backdate_due(order: Order, days: int) -> None:
    """Make a delivered order due `days` earlier: what time would do, the database forbids."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE orders DISABLE TRIGGER agreed")
        cursor.execute(
            "UPDATE orders SET due_date = due_date - %s::int WHERE id = %s", [days, order.pk]
        )
        cursor.execute("ALTER TABLE orders ENABLE TRIGGER agreed")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
