"""Stock: promised to orders and taken by them, all lines or none."""

from collections.abc import Mapping
from dataclasses import dataclass

from khaacho import sql
from vendors import shown
from vendors.exceptions import InsufficientStock
from vendors.models import VendorProduct


@dataclass(frozen=True)
class Shortage:
    """A line that stock cannot serve; quantities are packs."""

    offer_id: int
    product_id: int
    requested: int
    available: int


@dataclass(frozen=True)
class StockChange:
    """A change of one offer's packs: promised to orders, and on hand."""

    reserved: int = 0
    on_hand: int = 0


def move_stock(changes: Mapping[int, StockChange]) -> None:
    """Apply all changes (offer id → change) or none; the rows are locked in id order.

    One statement; the caller's transaction must be rolled back when it raises InsufficientStock,
    whose `lines` are the shortages.
    """
    ids = list(changes)  # the statement itself puts the locks in order
    params = {
        "ids": ids,
        "reserved": [changes[i].reserved for i in ids],
        "on_hand": [changes[i].on_hand for i in ids],
    }
    moved = sql.fetch(
        "WITH want AS (SELECT * FROM unnest(%(ids)s::bigint[], %(reserved)s::int[], %(on_hand)s::int[])"
        " AS w (id, reserved, on_hand)),"
        " locked AS (SELECT o.id FROM vendor_products o JOIN want USING (id)"
        " ORDER BY o.id FOR NO KEY UPDATE OF o)"
        " UPDATE vendor_products o SET reserved = o.reserved + w.reserved, stock = o.stock + w.on_hand"
        " FROM want w JOIN locked l USING (id)"
        " WHERE o.id = w.id AND o.reserved + w.reserved BETWEEN 0 AND o.stock + w.on_hand"
        " AND (w.reserved <= 0 OR (o.is_available AND o.deleted_at IS NULL))"
        " RETURNING o.product_id, o.vendor_id,"
        " (o.stock > o.reserved) <> (o.stock - w.on_hand > o.reserved - w.reserved)",
        params,
    )
    if len(moved) != len(ids):
        raise InsufficientStock(lines=[vars(s) for s in _shortages(changes)])
    shown.packs_moved(moved)


def _shortages(changes: Mapping[int, StockChange]) -> list[Shortage]:
    offers = VendorProduct.objects.filter(pk__in=changes).order_by("pk")
    return [
        Shortage(offer.pk, offer.product_id, wanted, free)
        for offer in offers
        if (wanted := changes[offer.pk].reserved) > (free := _free(offer))
    ]


def _free(offer: VendorProduct) -> int:
    on_sale = offer.is_available and offer.deleted_at is None
    return offer.stock - offer.reserved if on_sale else 0
