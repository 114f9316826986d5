"""`play`: a short trading day through the API of a running site, with its worker at work."""

import argparse
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.trade.logins import Logins
from bench.trade.play import backstage, ledger, plan, report, talk
from bench.trade.play.day import ADVANCE, Cast, Day
from bench.trade.play.plan import Market, Offer, Paying
from bench.trade.play.refused import Attempts
from bench.trade.play.site import NotLoopback, Person, Site, Unexpected
from bench.trade.play.stock import restock

KATHMANDU = ZoneInfo("Asia/Kathmandu")
ROUTING_SECONDS = 100.0  # for the worker to begin with; a killed one's job returns after its lease
ROUTING_SECONDS_EACH = 0.3  # and for every order
POLL_SECONDS = 0.5
SETTLE_SECONDS = 15.0  # for the notices; what is left then is said, and no failure


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("play", help=__doc__, description=__doc__)
    parser.add_argument("--base-url", default="http://127.0.0.1:8000", help="where the site is")
    parser.add_argument(
        "--logins", type=Path, default=Path("var/demo.json"), help="what `load` wrote"
    )
    parser.add_argument("--orders", type=_positive, default=200, help="orders to place (200)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed draws the same day")
    parser.add_argument(
        "--again", action="store_true", help="play one more round of a day that was played"
    )
    parser.add_argument(
        "--ledger",
        type=Path,
        help="append each order and payment that is acknowledged to this file",
    )
    parser.set_defaults(run=run)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def run(arguments: argparse.Namespace) -> int:
    """Play as told by the command line; 0 when everything happened that had to, or did before."""
    console = Console()
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per request hides the rest
    try:
        logins = cast("Logins", json.loads(arguments.logins.read_text()))
        site = Site(arguments.base_url)
    except (OSError, ValueError) as error:
        said = str(error) if isinstance(error, NotLoopback) else f"{arguments.logins}: {error}"
        console.print(f"[red]{said}")
        return 1
    try:
        if lacking := {"operator", "retailers", "vendors"} - set(logins):
            console.print(f"[red]{arguments.logins} has no logins: {', '.join(sorted(lacking))}.")
            console.print("The trade was loaded elsewhere; begin anew with make demo FRESH=1.")
            return 1
        return _Player(site, logins, arguments, console).play()
    except (Unexpected, httpx.HTTPError) as error:
        console.print(f"[red]The day was interrupted: {error}")
        console.print("The same command goes on from there.")
        return 1
    finally:
        site.close()


class _Player:
    def __init__(
        self, site: Site, logins: Logins, arguments: argparse.Namespace, console: Console
    ) -> None:
        self.site, self.logins, self.arguments, self.console = site, logins, arguments, console
        self.cast = Cast(
            Person(site, logins["operator"]),
            {login["retailer_id"]: Person(site, login) for login in logins["retailers"]},
            {login["vendor_id"]: Person(site, login) for login in logins["vendors"]},
        )
        self.bar = Progress(
            TextColumn("{task.description:28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )

    def play(self) -> int:
        started, began = time.monotonic(), datetime.now(UTC)
        today = f"day-{began.astimezone(KATHMANDU):%Y-%m-%d}"
        closed = self._rounds_closed(today)
        if closed and not self.arguments.again:
            self.console.print(f"The {today} was played already; nothing was changed.")
            return 0
        if not talk.is_possible():
            self.console.print("WHATSAPP_APP_SECRETS is empty: nobody orders by WhatsApp today.")
        with self.bar:
            market = self._market()
            day = self._day(today, closed + 1, market)
            self._act(day, market)
            self._settle(began)
        differences = report.differences(day)
        self._expect(day)
        self.console.print(report.table(day, self.site, backstage.work_since(began)))
        self.console.print(report.consistency(day, differences))
        day.troubles += differences
        if not day.troubles:
            self._close(day, f"{today}/close-{closed + 1}")
        for trouble in day.troubles[:20]:
            self.console.print(f"[red]{trouble}")
        self.console.print(f"Played in {time.monotonic() - started:.0f} s")
        return 1 if day.troubles else 0

    def _rounds_closed(self, today: str) -> int:
        """A round's last payment has a reference of its own: the trade itself remembers the day."""
        rows = self.cast.operator.rows("list payments", "payments/", search=f"{today}/close-")
        return sum(1 for _ in rows)

    @contextmanager
    def _phase(self, name: str, total: int) -> Iterator[Any]:
        task = self.bar.add_task(name, total=total)
        yield lambda: self.bar.update(task, advance=1)
        self.bar.update(task, completed=total)

    def _market(self) -> Market:
        operator, offers = self.cast.operator, {}
        ranges = {
            row["id"]: (row["min_quantity"], row["max_quantity"])
            for row in operator.rows("list products", "products/")
        }
        with self._phase("reading the catalogue", len(self.cast.vendors)) as advance:
            for vendor_id in self.cast.vendors:
                rows = operator.rows("list offers", f"vendors/{vendor_id}/products/")
                offers[vendor_id] = [Offer.answered(row, ranges[row["product_id"]]) for row in rows]
                advance()
        return Market([login["retailer_id"] for login in self.logins["retailers"]], offers)

    def _day(self, today: str, number: int, market: Market) -> Day:
        seed, orders = self.arguments.seed, self.arguments.orders
        name = f"{today}/{number}-{seed}"
        day = Day(self.cast, name, plan.draw(market, orders, seed=seed, day=name))
        day.note = ledger.writer(self.arguments.ledger)
        return day

    def _act(self, day: Day, market: Market) -> None:
        count = len(day.errands)
        with self._phase("vendors restock", 1):
            market = restock(self.cast, market, day.errands, day.prefix)
        with self._phase("shops order", count) as day.advance:
            day.place_all()
        attempts = Attempts(day, market, self.logins["retailers"][0])
        with self._phase("what must be refused", len(attempts.planned())) as advance:
            attempts.make(advance)
        self._wait_for_routing(day)
        with self._phase("vendors deliver", len(day.orders)) as day.advance:
            day.walk_all()
        with self._phase("money is received", count) as day.advance:
            day.pay_all()
        for way, reason in ((Paying.CHEQUE, "Bounced"), (Paying.FULL, "Recorded twice")):
            try:
                day.take_back(way, reason)
            except Unexpected as error:
                day.troubles.append(str(error))

    def _wait_for_routing(self, day: Day) -> None:
        """Wait until the worker has offered every order to a vendor, each once at least."""
        waiting = {order["id"] for order in day.orders.values()}
        seconds = ROUTING_SECONDS + ROUTING_SECONDS_EACH * len(waiting)
        deadline = time.monotonic() + seconds
        if not waiting:
            return
        since = min(order["created_at"] for order in day.orders.values())
        with self._phase("the worker asks vendors", len(waiting)) as advance:
            while waiting:
                placed = self.cast.operator.rows(
                    "list orders", "orders/", status="PLACED", created_after=since
                )
                asked = waiting - {row["id"] for row in placed}
                asked |= {pk for pk in list(waiting - asked)[:5] if self._was_offered(pk)}
                waiting -= asked
                for _ in asked:
                    advance()
                if time.monotonic() > deadline:
                    day.troubles.append(f"{len(waiting)} orders not routed within {seconds:.0f} s")
                    return
                time.sleep(POLL_SECONDS if waiting else 0)

    def _was_offered(self, order_id: int) -> bool:
        """Whether a vendor was asked before: then the order is back with staff, and stays there."""
        steps = self.cast.operator.rows("read history", f"orders/{order_id}/history/")
        return any(step["to_status"] == "PENDING" for step in steps)

    def _settle(self, began: datetime) -> None:
        with self._phase("notices are written", 1):
            deadline = time.monotonic() + SETTLE_SECONDS
            while backstage.work_since(began)["jobs due"] and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)

    def _expect(self, day: Day) -> None:
        """Add to the troubles what had to happen and did not."""
        statuses = {order["status"] for order in day.orders.values()}
        expected = {
            "four of five orders are placed": len(day.orders) >= 0.8 * len(day.errands),
            "an order is completed": "COMPLETED" in statuses,
            "an order is cancelled": "CANCELLED" in statuses,
            "a declined order goes to another vendor": day.handed_over > 0,
            "an order is made by WhatsApp": day.spoken > 0 or not talk.is_possible(),
            "a repeated key is answered again": day.replays > 0,
        }
        if len(day.errands) >= len(plan.OPENING):
            day.troubles += [f"not so: {what}" for what, is_so in expected.items() if not is_so]

    def _close(self, day: Day, reference: str) -> None:
        """Record the day's last payment, an advance, by which it is known to have been played."""
        errand = next(e for e in day.errands if e.number in day.orders)
        body = {
            "retailer_id": errand.shop,
            "vendor_id": day.orders[errand.number]["vendor_id"],
            "amount": str(ADVANCE),
            "method": "CASH",
            "reference": reference,
        }
        self.cast.operator.post("pay", "payments/", body, key=reference).ok()
