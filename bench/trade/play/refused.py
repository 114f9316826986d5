"""What the site must not let happen: each attempt is made on purpose, and its refusal expected."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bench.trade.logins import Login
from bench.trade.play import backstage, talk
from bench.trade.play.day import Day
from bench.trade.play.plan import Errand, Market, Offer
from bench.trade.play.site import Answer, Person, Unexpected

MAX_LINES = 60
LEFT_ON_THE_SHELF = 1

Row = dict[str, Any]


@dataclass(frozen=True)
class Attempts:
    """The day's deliberate mistakes, each named by the problem's code that must answer it."""

    day: Day
    market: Market
    shop_login: Login

    def make(self, done: Callable[[], None]) -> None:
        """Make every attempt once; what is not answered as it must be becomes a trouble of the day."""
        for code, attempt in self.planned().items():
            try:
                answer = attempt()
            except Unexpected as error:
                self.day.troubles.append(f"refusal {code}: {error}")
            else:
                self._judge(code, answer)
            done()

    def _judge(self, code: str, answer: Answer) -> None:
        if answer.code != code:
            told = answer.code or answer.status
            self.day.troubles.append(f"refusal {code}: the answer was {told}")
        else:
            self.day.refusals[code] += 1

    def planned(self) -> Mapping[str, Callable[[], Answer]]:
        """Return what is tried, by the code that must answer it."""
        return {
            "credit_limit_exceeded": self._over_the_limit,
            "insufficient_stock": self._more_than_the_stock,
            "minimum_quantity": self._outside_the_range,
            "retailer_not_approved": lambda: self._not_welcome("retailer_not_approved"),
            "retailer_blocked": lambda: self._not_welcome("retailer_blocked"),
            "idempotency_key_reused": self._key_with_another_body,
            "idempotency_key_missing": lambda: self.anyone.post("place order", "orders/", {}),
            "illegal_transition": self._out_of_turn,
            "not_found": self._read_anothers,
            "permission_denied": self._accept_as_a_shop,
            "signature_invalid": self._forged_message,
        }

    @property
    def placed(self) -> list[Errand]:
        by_api = [e for e in self.day.errands if e.number in self.day.orders and not e.by_whatsapp]
        if not by_api:
            raise Unexpected("no order was placed by the API")
        return by_api

    @property
    def anyone(self) -> Person:
        return self.day.cast.shops[self.placed[0].shop]

    def _order(self, shop: Person, offers: Mapping[int, int], name: str, **more: Any) -> Answer:
        items = [{"product_id": product, "quantity": packs} for product, packs in offers.items()]
        body = {"items": items, "payment_terms": "CASH", **more}
        return shop.post("place order", "orders/", body, key=f"{self.day.prefix}/refused-{name}")

    def _over_the_limit(self) -> Answer:
        """Order on credit for more than the shop has left, as a quote says first."""
        shops = {errand.shop: self.day.cast.shops[errand.shop] for errand in self.placed}
        for shop in shops.values():
            credit = shop.get("read credit", "credit/")
            if Decimal(credit["overdue"]):
                continue
            for vendor_id, items in self._dear_baskets(Decimal(credit["available"])):
                body = {"vendor_id": vendor_id, "payment_terms": "CREDIT"}
                lines = [{"product_id": p, "quantity": n} for p, n in items.items()]
                quote = shop.post("quote", "orders/quote/", {**body, "items": lines}).ok()
                if [r["code"] for r in quote["refusals"]] == ["credit_limit_exceeded"]:
                    return self._order(shop, items, "credit", **body)
        raise Unexpected("no shop could ask for more than its credit")

    def _dear_baskets(self, available: Decimal) -> Iterator[tuple[int, dict[int, int]]]:
        """Baskets at one vendor, in stock, that cost more than is available without VAT even."""
        for vendor_id, offers in self.market.offers.items():
            chosen: dict[int, int] = {}
            worth = Decimal(0)
            for offer in sorted(offers, key=_shelf_worth, reverse=True)[:MAX_LINES]:
                packs = min(offer.available * 3 // 4, offer.max_quantity)
                if worth <= available and packs >= offer.min_quantity:
                    chosen[offer.product_id] = packs
                    worth += packs * offer.price
            if worth > available:
                yield vendor_id, chosen

    def _more_than_the_stock(self) -> Answer:
        offers = [o for found in self.market.offers.values() for o in found if o.max_quantity > 1]
        offer = min(offers, key=lambda o: o.available - o.max_quantity)
        if offer.available >= offer.max_quantity:
            self._find_less_on_the_shelf(offer)
        items = {offer.product_id: offer.max_quantity}
        return self._order(self.anyone, items, "stock", vendor_id=offer.vendor_id)

    def _find_less_on_the_shelf(self, offer: Offer) -> None:
        """The vendor counts, and corrects what is free to a single pack."""
        vendor = self.day.cast.vendors[offer.vendor_id]
        for own in vendor.rows("list offers", "vendor/products/", search=offer.sku):
            if own["product_id"] == offer.product_id and own["available"] > LEFT_ON_THE_SHELF:
                change = {"stock_delta": LEFT_ON_THE_SHELF - own["available"]}
                vendor.send(
                    "count stock", "PATCH", f"vendor/products/{own['id']}/", json=change
                ).ok()

    def _outside_the_range(self) -> Answer:
        offers = [offer for found in self.market.offers.values() for offer in found]
        offer = max(offers, key=lambda o: o.min_quantity)
        packs = offer.min_quantity - 1 or offer.max_quantity + 1
        items = {offer.product_id: packs}
        return self._order(self.anyone, items, "range", vendor_id=offer.vendor_id)

    def _not_welcome(self, code: str) -> Answer:
        phones = backstage.refused_shops()
        if code not in phones:
            raise Unexpected("the demo has no such shop")
        login: Login = {"phone": phones[code], "password": self.shop_login["password"]}
        offer = self.placed[0].lines[0][0]
        items = {offer.product_id: offer.min_quantity}
        return self._order(Person(self.anyone.site, login), items, code)

    def _key_with_another_body(self) -> Answer:
        """First the same body again, which must replay; then the key with another body."""
        errand = self.placed[0]
        answers = [self.day.send_order(errand, on_credit=terms) for terms in (True, False)]
        replays = [a for a in answers if a.replayed]
        if [a.body["id"] for a in replays] != [self.day.orders[errand.number]["id"]]:
            raise Unexpected("a repeated key did not give the first answer again")
        self.day.replays += 1
        return next(a for a in answers if not a.replayed)

    def _out_of_turn(self) -> Answer:
        order = self.day.orders[self.placed[0].number]
        path = f"orders/{order['id']}/deliver/"
        return self.day.cast.operator.post("deliver", path, key=f"{self.day.prefix}/refused-turn")

    def _read_anothers(self) -> Answer:
        mine = self.placed[0]
        other = next((e for e in self.placed if e.shop != mine.shop), None)
        order_id = self.day.orders[other.number]["id"] if other else 2**53
        return self.anyone.send("read order", "GET", f"orders/{order_id}/")

    def _accept_as_a_shop(self) -> Answer:
        order_id = self.day.orders[self.placed[0].number]["id"]
        return self.anyone.post("accept", f"orders/{order_id}/accept/")

    def _forged_message(self) -> Answer:
        return talk.post(
            self.anyone, f"wamid.{self.day.prefix}/forged", "CONFIRM", "not the secret"
        )


def _shelf_worth(offer: Offer) -> Decimal:
    return offer.price * min(offer.available, offer.max_quantity)
