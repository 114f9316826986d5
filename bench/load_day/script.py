"""What everybody will do, written to a file by a process that knows the trade, for Locust, which knows only HTTP."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.trade.logins import Logins
from bench.trade.play import plan
from bench.trade.play.day import Cast
from bench.trade.play.plan import Errand, Market, Offer
from bench.trade.play.site import Person, Site
from bench.trade.play.stock import restock
from khaacho.signatures import sign

# Seconds of the real day, divided by the factor: between what a person sees and what they do next.
RENEW_SECONDS = 200.0  # of a token that lives 300
THINK = {
    "browse": 25.0,  # a shop looks at the list before it asks for a quote
    "decide": 20.0,  # and at the quote before it orders
    "look": 60.0,  # a vendor's desk looks for new orders
    "desk": 45.0,  # staff turn to the next page
    "accept": 600.0,
    "pack": 900.0,
    "dispatch": 1200.0,
    "out_for_delivery": 600.0,
    "deliver": 2700.0,
    "pay": 600.0,
}


@dataclass(frozen=True)
class Script:
    """One run: everybody's logins, what is ordered when, how the rest goes on, when it is over.

    `tokens` are by phone, good for RENEW_SECONDS: a run does not begin with everybody's password at once.
    `until` ends the run at that second whatever is left; None lets everything end, once nothing has moved for `quiet`
    seconds. `samples` and `ledger` are files
    that the run appends to.
    """

    errands: Sequence[dict[str, Any]]
    shops: dict[str, dict[str, str]]
    vendors: dict[str, dict[str, str]]
    operator: dict[str, str]
    factor: float
    since: str
    prefix: str
    samples: str
    ledger: str
    tokens: dict[str, str]
    until: float | None = None
    quiet: float = 10.0
    think: dict[str, float] | None = None

    def write(self, path: Path) -> None:
        """Write it for Locust, readable by its owner only: it holds passwords."""
        told = {**asdict(self), "think": self.think or THINK, "renew_seconds": RENEW_SECONDS}
        text = json.dumps(told)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text)


@dataclass(frozen=True)
class Trade:
    """Everybody in a running site, and what they sell."""

    cast: Cast
    logins: Logins
    secret: str

    @classmethod
    def of(cls, site: Site, logins: Logins, secret: str) -> "Trade":
        """Return the trade of a site; with a secret, shops order by WhatsApp too."""
        cast = Cast(
            Person(site, logins["operator"]),
            {login["retailer_id"]: Person(site, login) for login in logins["retailers"]},
            {login["vendor_id"]: Person(site, login) for login in logins["vendors"]},
        )
        return cls(cast, logins, secret)

    def market(self) -> Market:
        """Read what every vendor has on sale now. Raises Unexpected."""
        operator = self.cast.operator
        limits = {
            row["id"]: (row["min_quantity"], row["max_quantity"])
            for row in operator.rows("list products", "products/")
        }
        offers = {
            vendor: [
                Offer.answered(row, limits[row["product_id"]])
                for row in operator.rows("list offers", f"vendors/{vendor}/products/")
            ]
            for vendor in self.cast.vendors
        }
        return Market(list(self.cast.shops), offers)

    def errands(self, moments: Sequence[float], *, seed: int, prefix: str) -> list[dict[str, Any]]:
        """Draw an order for each moment, and let vendors stock up for all of them. Raises Unexpected."""
        market = self.market()
        drawn = plan.draw(market, len(moments), seed=seed, day=prefix)
        restock(self.cast, market, drawn, prefix)
        return [self._row(e, due, prefix) for e, due in zip(drawn, moments, strict=True)]

    def people(self) -> dict[str, Any]:
        """Return everybody's phone, password and token, shops and vendors by their ids as text.

        Raises Unexpected.
        """
        shops = {str(row["retailer_id"]): _login(row) for row in self.logins["retailers"]}
        vendors = {str(row["vendor_id"]): _login(row) for row in self.logins["vendors"]}
        cast = self.cast
        everybody = [cast.operator, *cast.shops.values(), *cast.vendors.values()]
        return {
            "shops": shops,
            "vendors": vendors,
            "operator": _login(self.logins["operator"]),
            "tokens": {each.login["phone"]: each.token(RENEW_SECONDS) for each in everybody},
        }

    def _row(self, errand: Errand, due: float, prefix: str) -> dict[str, Any]:
        key = f"{prefix}/o{errand.number:05}"
        row: dict[str, Any] = {
            "due": due,
            "shop": str(errand.shop),
            "vendor": errand.vendor_id,
            "key": key,
            "credit": errand.on_credit,
            "body": errand.body(on_credit=errand.on_credit),
            "words": [],
        }
        if errand.by_whatsapp and self.secret:
            phone = self.cast.shops[errand.shop].login["phone"]
            lines = "\n".join(f"{packs} x {offer.sku}" for offer, packs in errand.lines)
            row["words"] = [
                self._message(phone, f"wamid.{key}/{step}", text)
                for step, text in (("lines", lines), ("yes", "CONFIRM CASH"))
            ]
        return row

    def _message(self, phone: str, wamid: str, text: str) -> dict[str, str]:
        message = {
            "from": phone.removeprefix("+"),
            "id": wamid,
            "timestamp": str(int(time.time())),
            "type": "text",
            "text": {"body": text},
        }
        change = {"field": "messages", "value": {"messages": [message]}}
        body = json.dumps({"entry": [{"changes": [change]}]})
        return {"body": body, "signature": sign(body.encode(), self.secret)}


def _login(row: Any) -> dict[str, str]:
    return {"phone": row["phone"], "password": row["password"]}
