"""Who orders what from whom today, and what becomes of it. Pure: the same market and seed, the same day.

Each order is drawn from a chance of its own, so that a day that was interrupted, or is made longer,
begins with the same orders; nothing hangs on stock or credit, which change as the day goes on.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

SHOPS, VENDORS = 24, 15  # that trade on one day; everybody who does must sign in
WHATSAPP_EVERY = 13
USUAL_LINE = 1_500  # NPR
MOST_PACKS = 24


class Ending(StrEnum):
    """What follows once an order has reached its status."""

    NONE = ""
    COMPLETE = "complete"
    SHOP_CANCELS = "shop cancels"
    VENDOR_CANCELS = "vendor cancels"


class Paying(StrEnum):
    """How a delivered order is paid on the day."""

    NONE = ""
    FULL = "full"
    PART = "part"
    ADVANCE = "advance"
    CHEQUE = "cheque"


@dataclass(frozen=True)
class Story:
    """How far an order gets, whether its first vendor declines, how it ends; weight in per cent."""

    reach: str
    weight: int
    ending: Ending = Ending.NONE
    declined: bool = False


DELIVERED = Story("DELIVERED", 33)
COMPLETED = Story("DELIVERED", 27, Ending.COMPLETE)
DECLINED = Story("DELIVERED", 6, declined=True)
WAITING = Story("PENDING", 6)
GIVEN_UP = Story("PENDING", 4, Ending.SHOP_CANCELS)
TAKEN_BACK = Story("PACKING", 2, Ending.VENDOR_CANCELS)
ON_ITS_WAY = Story("DISPATCHED", 5)
STORIES = (
    DELIVERED,
    COMPLETED,
    DECLINED,
    WAITING,
    GIVEN_UP,
    TAKEN_BACK,
    ON_ITS_WAY,
    Story("ACCEPTED", 2, Ending.SHOP_CANCELS),
    Story("ACCEPTED", 5),
    Story("PACKING", 5),
    Story("OUT_FOR_DELIVERY", 5),
)
PAYING = {Paying.NONE: 35, Paying.FULL: 30, Paying.PART: 20, Paying.CHEQUE: 8, Paying.ADVANCE: 7}
# The first orders of a day are small and show everything once, however short the day is.
OPENING = (
    (COMPLETED, Paying.FULL),
    (DELIVERED, Paying.PART),
    (DECLINED, Paying.NONE),
    (DELIVERED, Paying.CHEQUE),
    (COMPLETED, Paying.FULL),
    (DELIVERED, Paying.ADVANCE),
    (GIVEN_UP, Paying.NONE),
    (TAKEN_BACK, Paying.NONE),
    (WAITING, Paying.NONE),
    (ON_ITS_WAY, Paying.NONE),
    (DECLINED, Paying.NONE),
    (DELIVERED, Paying.CHEQUE),
)


@dataclass(frozen=True)
class Offer:
    """A product at a vendor: NPR without VAT, packs that no order had reserved, packs per order."""

    product_id: int
    sku: str
    vendor_id: int
    price: Decimal
    available: int
    min_quantity: int
    max_quantity: int

    @classmethod
    def answered(cls, row: Mapping[str, Any], limits: tuple[int, int]) -> "Offer":
        """Make one of a row of the API's list and the least and most packs of its product."""
        return cls(
            product_id=row["product_id"],
            sku=row["sku"],
            vendor_id=row["vendor_id"],
            price=Decimal(row["price"]),
            available=row["available"],
            min_quantity=limits[0],
            max_quantity=limits[1],
        )


@dataclass(frozen=True)
class Market:
    """Approved shops and what every vendor has on sale."""

    shops: Sequence[int]
    offers: Mapping[int, Sequence[Offer]]


@dataclass(frozen=True)
class Errand:
    """One order to be: placed by a shop, at a vendor that is named or only known to sell it all."""

    number: int
    shop: int
    vendor_id: int
    is_named: bool
    lines: tuple[tuple[Offer, int], ...]
    on_credit: bool
    by_whatsapp: bool
    story: Story
    paying: Paying

    def body(self, *, on_credit: bool) -> dict[str, object]:
        """Return the request for this order."""
        named = {"vendor_id": self.vendor_id} if self.is_named else {}
        return {
            **named,
            "items": [{"product_id": o.product_id, "quantity": n} for o, n in self.lines],
            "payment_terms": "CREDIT" if on_credit else "CASH",
        }


def draw(market: Market, count: int, *, seed: int, day: str) -> list[Errand]:
    """Return the day's first `count` orders. Few shops, vendors and products make most of them."""
    taste = random.Random(seed)
    shops = taste.sample(list(market.shops), k=min(SHOPS, len(market.shops)))
    vendors = sorted(vendor for vendor, offers in market.offers.items() if offers)
    vendors = taste.sample(vendors, k=min(VENDORS, len(vendors)))
    products = sorted({o.product_id for offers in market.offers.values() for o in offers})
    taste.shuffle(products)
    rank = {product: place for place, product in enumerate(products)}
    drawer = _Drawer(market, shops, vendors, rank)
    return [drawer.errand(n, random.Random(f"{day}/{seed}/{n}")) for n in range(count)]


def _weights(count: int, offset: int) -> list[float]:
    """Zipf's law: the weight of a rank falls with the rank."""
    return [1 / (place + offset) for place in range(count)]


@dataclass(frozen=True)
class _Drawer:
    market: Market
    shops: Sequence[int]
    vendors: Sequence[int]
    rank: Mapping[int, int]

    def errand(self, number: int, chance: random.Random) -> Errand:
        story, paying = _fate(number, chance)
        by_whatsapp = number % WHATSAPP_EVERY == 4
        if by_whatsapp and story.declined:
            story = DELIVERED
        lines = self._disputed(chance) if story.declined else self._basket(number, chance)
        shop = chance.choices(self.shops, _weights(len(self.shops), 3))[0]
        if by_whatsapp:  # a conversation has one draft: each of these by another shop
            shop = self.shops[number // WHATSAPP_EVERY % len(self.shops)]
        return Errand(
            number=number,
            shop=shop,
            vendor_id=lines[0][0].vendor_id,
            is_named=not by_whatsapp and (story.declined or chance.random() < 0.55),
            lines=lines,
            on_credit=chance.random() < 0.65,
            by_whatsapp=by_whatsapp,
            story=story,
            paying=paying,
        )

    def _disputed(self, chance: random.Random) -> tuple[tuple[Offer, int], ...]:
        """One line, at the dearest of several vendors: when it declines, another may take it on."""
        rivals: dict[int, list[Offer]] = {}
        for offers in self.market.offers.values():
            for offer in offers:
                rivals.setdefault(offer.product_id, []).append(offer)
        contested = [found for found in rivals.values() if len({o.price for o in found}) > 1]
        if not contested:
            return self._basket(0, chance)
        contested.sort(key=lambda found: self.rank[found[0].product_id])
        chosen = chance.choices(contested, _weights(len(contested), 3))[0]
        dearest = max(chosen, key=lambda offer: (offer.price, offer.vendor_id))
        return ((dearest, dearest.min_quantity),)

    def _basket(self, number: int, chance: random.Random) -> tuple[tuple[Offer, int], ...]:
        vendor = chance.choices(self.vendors, _weights(len(self.vendors), 4))[0]
        offers = sorted(self.market.offers[vendor], key=lambda o: self.rank[o.product_id])
        count = 1 if number < len(OPENING) else chance.choices((1, 2, 3, 4, 6), (3, 4, 4, 3, 2))[0]
        chosen: dict[int, Offer] = {}
        for offer in chance.choices(offers, _weights(len(offers), 3), k=count):
            chosen[offer.product_id] = offer
        return tuple((offer, _packs(offer, number, chance)) for offer in chosen.values())


def _fate(number: int, chance: random.Random) -> tuple[Story, Paying]:
    story = chance.choices(STORIES, [story.weight for story in STORIES])[0]
    paying = chance.choices(list(PAYING), list(PAYING.values()))[0]
    if number < len(OPENING):
        return OPENING[number]
    return story, paying if story.reach == "DELIVERED" and not story.declined else Paying.NONE


def _packs(offer: Offer, number: int, chance: random.Random) -> int:
    worth = USUAL_LINE * chance.lognormvariate(0, 0.6)
    packs = min(int(worth / float(offer.price)), MOST_PACKS) if number >= len(OPENING) else 0
    return max(offer.min_quantity, min(packs, offer.max_quantity))
