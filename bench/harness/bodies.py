"""Orders to place: shops that may, offers that suffice, and hot products as in real demand."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.harness.client import Person, person
from khaacho import sql
from khaacho.actors import Actor
from khaacho.enums import Role

SHOPS = 200
OFFERS = 400
HOT_SHARE, HOT_LINES = 0.05, 0.6  # 60 % of the lines are of 5 % of the products
STOCK = 100_000_000
LIMIT = 900_000_000
SEED = 7


@dataclass(frozen=True)
class Market:
    """One vendor with much stock of `products`, and shops with much credit at it."""

    vendor_id: int
    products: Sequence[int]
    shops: Sequence[Person]

    def body(self, lines: int, chance: random.Random) -> bytes:
        """Return an order on credit of so many different products, hot ones more often."""
        hot = max(1, round(len(self.products) * HOT_SHARE))
        wanted: dict[int, None] = {}
        while len(wanted) < lines:
            many = self.products[:hot] if chance.random() < HOT_LINES else self.products[hot:]
            free = [p for p in many if p not in wanted] or [
                p for p in self.products if p not in wanted
            ]
            wanted[chance.choice(free)] = None
        return order(self.vendor_id, list(wanted))

    def bodies(self, lines: int) -> Iterator[bytes]:
        """Yield such orders without end, the same ones in every run."""
        chance = random.Random(SEED)
        while True:
            yield self.body(lines, chance)


def order(vendor_id: int, products: Sequence[int]) -> bytes:
    """Return the body of an order of one pack of each product."""
    items = [{"product_id": product, "quantity": 1} for product in products]
    return json.dumps({"vendor_id": vendor_id, "payment_terms": "CREDIT", "items": items}).encode()


def open_market() -> Market:
    """Change this database so that nobody runs out of stock or credit; return who trades what.

    The vendor is the one with most offers. Shops with a due that stops their credit stay out.
    """
    vendor_id, products = _vendor()
    sql.execute(
        "UPDATE products SET min_quantity = 1, max_quantity = greatest(max_quantity, 1000)"
        " WHERE id = ANY(%s)",
        [products],
    )
    sql.execute(
        "UPDATE vendor_products SET stock = %s WHERE vendor_id = %s AND product_id = ANY(%s)",
        [STOCK, vendor_id, products],
    )
    shops = _shops()
    ids = [shop.actor.retailer_id for shop in shops]
    sql.execute("UPDATE retailers SET credit_limit = %s WHERE id = ANY(%s)", [LIMIT, ids])
    sql.execute(
        "UPDATE credit_accounts SET credit_limit = NULL, is_frozen = false"
        " WHERE retailer_id = ANY(%s) AND vendor_id = %s",
        [ids, vendor_id],
    )
    return Market(vendor_id, products, shops)


def _vendor() -> tuple[int, list[int]]:
    row = sql.fetch_one(
        "SELECT o.vendor_id, (array_agg(o.product_id ORDER BY o.id))[1:%s] FROM vendor_products o"
        " JOIN vendors v ON v.id = o.vendor_id AND v.is_approved AND NOT v.is_blocked"
        " AND v.deleted_at IS NULL"
        " JOIN products p ON p.id = o.product_id AND p.is_active AND p.deleted_at IS NULL"
        " WHERE o.is_available AND o.deleted_at IS NULL GROUP BY o.vendor_id"
        " ORDER BY count(*) DESC, o.vendor_id LIMIT 1",
        [OFFERS],
    )
    if row is None:
        raise SystemExit("this database has no offers: load a trade first")
    return row[0], row[1]


def _shops() -> list[Person]:
    rows = sql.fetch(
        "SELECT r.user_id, r.id, r.shop_name FROM retailers r JOIN users u ON u.id = r.user_id"
        " WHERE r.is_approved AND NOT r.is_blocked AND r.deleted_at IS NULL"
        " AND u.is_active AND u.deleted_at IS NULL AND NOT EXISTS (SELECT FROM orders o"
        " WHERE o.retailer_id = r.id AND o.due_date IS NOT NULL AND o.due_amount > 0"
        " AND o.due_date < now()::date - 29) ORDER BY r.id LIMIT %s",
        [SHOPS],
    )
    if not rows:
        raise SystemExit("no shop of this database may order on credit")
    return [
        person(Actor(user_id=user, role=Role.RETAILER, name=name, retailer_id=retailer))
        for user, retailer, name in rows
    ]
