"""The day's acts, each of which may be repeated: keys and references are the errands' own."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
from django.db import connections

from bench.trade.play import talk
from bench.trade.play.plan import Ending, Errand, Paying
from bench.trade.play.site import THREADS, Answer, Person, Unexpected

STEPS = {
    "accept": "ACCEPTED",
    "pack": "PACKING",
    "dispatch": "DISPATCHED",
    "out_for_delivery": "OUT_FOR_DELIVERY",
    "deliver": "DELIVERED",
}
RANKS = ("PLACED", "PENDING", *STEPS.values(), "COMPLETED")
INVOICED = {"DELIVERED", "COMPLETED"}
ON_CASH_ONLY = {"credit_limit_exceeded", "credit_on_hold", "account_frozen"}
LOST_SALES = ON_CASH_ONLY | {"insufficient_stock", "no_vendor_available", "product_unavailable"}
METHODS = {
    Paying.FULL: "CASH",
    Paying.PART: "MOBILE_MONEY",
    Paying.ADVANCE: "BANK_TRANSFER",
    Paying.CHEQUE: "CHEQUE",
}
ADVANCE = Decimal("1000.00")  # NPR above what is due
PART = Decimal("0.4")
PAISA = Decimal("0.01")

Row = dict[str, Any]
Step = Callable[[], None]


@dataclass(frozen=True)
class Cast:
    """Everybody with a login, by the id of shop or vendor."""

    operator: Person
    shops: Mapping[int, Person]
    vendors: Mapping[int, Person]


@dataclass
class Day:
    """One round of a day: `orders` by the errand's number and `payments` by reference, as last seen."""

    cast: Cast
    prefix: str
    errands: Sequence[Errand]
    advance: Step = lambda: None
    note: Callable[[str, Row], None] = lambda kind, row: None  # told of each answer that creates
    orders: dict[int, Row] = field(default_factory=dict)
    payments: dict[str, Row] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)
    spoken: int = 0
    replays: int = 0
    handed_over: int = 0

    def key(self, errand: Errand, act: str = "") -> str:
        return f"{self.prefix}/o{errand.number:04}{act and '/'}{act}"

    def place_all(self) -> None:
        """Place every order: by the API at once, by WhatsApp one after the other in each shop."""
        spoken: dict[int, list[Errand]] = defaultdict(list)
        typed = []
        for errand in self.errands:
            if errand.by_whatsapp and talk.is_possible():
                spoken[errand.shop].append(errand)
            else:
                typed.append([errand])
        self._each(self._place, [*spoken.values(), *typed])

    def walk_all(self) -> None:
        """Let vendors and shops do with each order what is to become of it."""
        self._each(self._walk, [[e] for e in self.errands if e.number in self.orders])

    def pay_all(self) -> None:
        """Let vendors record what they received; the payments of one account one after the other."""
        self.learn_payments()
        accounts: dict[tuple[int, int], list[Errand]] = defaultdict(list)
        for errand in self.errands:
            order = self.orders.get(errand.number)
            if order and errand.paying and order["status"] in INVOICED:
                accounts[errand.shop, order["vendor_id"]].append(errand)
        self._each(self._pay, list(accounts.values()))

    def _each(self, act: Callable[[Errand], None], groups: Iterable[Sequence[Errand]]) -> None:
        """Do the act for every errand: groups side by side, those of a group in turn."""

        def in_turn(group: Sequence[Errand]) -> None:
            try:
                for errand in group:
                    self._attempt(act, errand)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(THREADS) as pool:
            for done in as_completed([pool.submit(in_turn, group) for group in groups]):
                done.result()

    def _attempt(self, act: Callable[[Errand], None], errand: Errand) -> None:
        try:
            act(errand)
        except (Unexpected, httpx.HTTPError) as error:
            self.troubles.append(f"order {errand.number}: {act.__name__.strip('_')}: {error}")
        self.advance()

    def _place(self, errand: Errand) -> None:
        shop = self.cast.shops[errand.shop]
        if errand.by_whatsapp and talk.is_possible():
            order_id = talk.order(shop, errand, self.prefix)
            if order_id is None:
                self.refusals["by WhatsApp"] += 1
                return
            self.spoken += 1
            self.orders[errand.number] = shop.get("read order", f"orders/{order_id}/")
            self.note("order", self.orders[errand.number])
            return
        answer = self.send_order(errand, on_credit=errand.on_credit)
        if errand.on_credit and answer.code in {*ON_CASH_ONLY, "idempotency_key_reused"}:
            # One key, so one order at most: reused means that an earlier run paid cash here.
            answer = self.send_order(errand, on_credit=False)
        if answer.code in LOST_SALES:
            return
        self.orders[errand.number] = answer.ok()
        self.note("order", answer.body)

    def send_order(self, errand: Errand, *, on_credit: bool) -> Answer:
        shop, body = self.cast.shops[errand.shop], errand.body(on_credit=on_credit)
        answer = shop.post("place order", "orders/", body, key=self.key(errand))
        if answer.code in LOST_SALES:
            self.refusals[answer.code] += 1
        return answer

    def _walk(self, errand: Errand) -> None:
        order = self._read(errand)
        if errand.story.declined:
            order = self._decline(errand, order)
        vendor = self.cast.vendors[order["vendor_id"]]
        for verb, reached in STEPS.items():
            if RANKS.index(reached) > RANKS.index(errand.story.reach):
                break
            if _is_before(order, reached):
                order = self._move(errand, order, vendor, verb)
        self._end(errand, order, vendor)

    def _decline(self, errand: Errand, order: Row) -> Row:
        if (order["status"], order["vendor_id"]) == ("PENDING", errand.vendor_id):
            vendor = self.cast.vendors[errand.vendor_id]
            body = {"reason": "The truck comes tomorrow only"}
            key = self.key(errand, "reject")
            vendor.post("reject", f"orders/{order['id']}/reject/", body, key=key).ok()
            order = self._read(errand)
        self.handed_over += order["vendor_id"] != errand.vendor_id
        return order

    def _end(self, errand: Errand, order: Row, vendor: Person) -> None:
        shop, reason = self.cast.shops[errand.shop], {"reason": "Ordered by mistake"}
        if errand.story.ending == Ending.COMPLETE and order["status"] == "DELIVERED":
            self._move(errand, order, shop, "complete")
        elif errand.story.ending and _is_before(order, "DISPATCHED"):
            who = shop if errand.story.ending == Ending.SHOP_CANCELS else vendor
            self._move(errand, order, who, "cancel", reason)

    def _move(
        self, errand: Errand, order: Row, who: Person, verb: str, body: Row | None = None
    ) -> Row:
        """Do the verb; when somebody else moved the order meanwhile, take it as it is now."""
        path = f"orders/{order['id']}/{verb}/"
        answer = who.post(verb, path, body, key=self.key(errand, verb))
        if answer.code == "illegal_transition":
            return self._read(errand)
        self.orders[errand.number] = answer.ok()
        return answer.body

    def _read(self, errand: Errand) -> Row:
        order_id = self.orders[errand.number]["id"]
        order = self.cast.operator.get("read order", f"orders/{order_id}/")
        self.orders[errand.number] = order
        return order

    def learn_payments(self) -> None:
        """See which of the day's payments are recorded."""
        rows = self.cast.operator.rows("list payments", "payments/", search=f"{self.prefix}/")
        self.payments.update((row["reference"], row) for row in rows)

    def _pay(self, errand: Errand) -> None:
        reference = f"{self.prefix}/p{errand.number:04}-{errand.paying}"
        order = self._read(errand)
        due = Decimal(order["due_amount"])
        if reference in self.payments or not due:
            return
        amounts = {
            Paying.PART: max((due * PART).quantize(PAISA), PAISA),
            Paying.ADVANCE: due + ADVANCE,
        }
        amount = amounts.get(errand.paying, due)
        body: Row = {
            "retailer_id": errand.shop,
            "amount": str(amount),
            "method": METHODS[errand.paying],
            "reference": reference,
        }
        if errand.paying == Paying.PART:
            body["allocations"] = [{"order_id": order["id"], "amount": str(amount)}]
        if errand.paying in {Paying.PART, Paying.CHEQUE}:
            body["transaction_id"] = reference
        vendor = self.cast.vendors[order["vendor_id"]]
        self.payments[reference] = vendor.post("pay", "payments/", body, key=reference).ok()
        self.note("payment", self.payments[reference])

    def take_back(self, way: Paying, reason: str) -> None:
        """Staff take back the day's first payment of this kind: a cheque because it bounced.

        Raises Unexpected when there was none.
        """
        found = sorted(reference for reference in self.payments if reference.endswith(f"-{way}"))
        if not found:
            raise Unexpected(f"no payment of the kind {way} was recorded")
        payment = self.payments[found[0]]
        if payment["status"] == "REVERSED":
            return
        body = {"reason": reason, "bounced": way == Paying.CHEQUE}
        path, key = f"payments/{payment['id']}/reverse/", f"{found[0]}/reverse"
        answer = self.cast.operator.post("reverse", path, body, key=key)
        self.payments[found[0]] = answer.ok()


def _is_before(order: Row, status: str) -> bool:
    """Whether the order is on its way there; one that waits for staff or was cancelled is not."""
    at = order["status"]
    return at not in {"PLACED", "CANCELLED"} and RANKS.index(at) < RANKS.index(status)
