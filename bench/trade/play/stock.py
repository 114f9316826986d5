"""The morning: vendors put on the shelf what the day will ask for, else long days sell them out."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from bench.trade.play.day import Cast
from bench.trade.play.plan import Errand, Market, Offer

ENOUGH = 2  # times what is planned: where no vendor is named, the cheapest serves others' share too


def restock(cast: Cast, market: Market, errands: Iterable[Errand], prefix: str) -> Market:
    """Add stock where there is too little, once in a round; return the market as it is then.

    Raises Unexpected.
    """
    wanted = Counter[tuple[int, int]]()
    for errand in errands:
        for offer, packs in errand.lines:
            wanted[offer.vendor_id, offer.product_id] += packs
    offers = {}
    for vendor_id, own in market.offers.items():
        added = {o.product_id: _missing(o, wanted[vendor_id, o.product_id]) for o in own}
        rows = [{"product_id": p, "stock_delta": packs} for p, packs in added.items() if packs]
        if rows:
            answer = cast.vendors[vendor_id].post(
                "restock", "vendor/products/bulk/", {"items": rows}, key=f"{prefix}/restock"
            )
            if answer.code != "idempotency_key_reused":  # then it was done before an interruption
                answer.ok()
        offers[vendor_id] = [replace(o, available=o.available + added[o.product_id]) for o in own]
    return Market(market.shops, offers)


def _missing(offer: Offer, wanted: int) -> int:
    return ENOUGH * wanted if offer.available < ENOUGH * wanted else 0
