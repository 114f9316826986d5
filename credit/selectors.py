"""Questions about retailers and what they owe. Positive amounts (NPR): the retailer owes more."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import OuterRef, QuerySet, Subquery, Sum, Value, Window
from django.utils import timezone

from credit.exceptions import StatementTooLong
from credit.models import CreditAccount, CreditLedger, CreditScore, Retailer
from credit.scoring import MODELS, Facts, Score, score
from khaacho import finding
from khaacho.actors import Actor
from khaacho.enums import Role
from khaacho.exceptions import NotFound
from khaacho.models import User
from khaacho.money import ZERO

KATHMANDU = ZoneInfo("Asia/Kathmandu")


def retailer_id_of(user_id: int) -> int | None:
    """Return the id of the user's shop; None when there is none. One query."""
    shops = Retailer.objects.filter(user_id=user_id, deleted_at=None)
    return shops.values_list("pk", flat=True).first()


def retailers_like(text: str) -> QuerySet[Retailer]:
    """Ids of retailers whose shop's name, English or Nepali, code, owner's name or phone is like the text."""
    every = Retailer.objects.all()
    owner = User.objects.filter(finding.words("name", text))
    ways = [
        every.filter(finding.words("shop_name_ne", text)),
        every.filter(code__startswith=text.strip().upper()),
        every.filter(user__in=owner.values("pk")),
    ]
    if (phone := finding.phone("phone", text)) is not None:
        ways.append(every.filter(user__in=User.objects.filter(phone).values("pk")))
    return finding.ids(every.filter(finding.words("shop_name", text)), *ways)


def available(limit: Decimal, *used: Decimal) -> Decimal:
    """Return what is left of a limit in NPR, never negative."""
    return max(limit - sum(used, ZERO), ZERO)


def accounts(actor: Actor) -> QuerySet[CreditAccount]:
    """Accounts that the actor may see, with their vendors and retailers."""
    return CreditAccount.objects.for_user(actor).select_related("vendor", "retailer").order_by("id")


def entries(actor: Actor) -> QuerySet[CreditLedger]:
    """Ledger entries that the actor may see, with their vendors and retailers."""
    return CreditLedger.objects.for_user(actor).select_related("vendor", "retailer")


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What happened on a retailer's accounts between two days of Kathmandu, both included.

    Each entry carries `balance`: what the retailer owed after it over all these accounts.
    """

    retailer: Retailer
    vendor_id: int | None
    start: date
    end: date
    opening_balance: Decimal
    entries: tuple[CreditLedger, ...]

    @property
    def total_debits(self) -> Decimal:
        return sum((entry.amount for entry in self.entries if entry.amount > 0), ZERO)

    @property
    def total_credits(self) -> Decimal:
        """Payments and other credits, as a positive amount."""
        return -sum((entry.amount for entry in self.entries if entry.amount < 0), ZERO)

    @property
    def closing_balance(self) -> Decimal:
        return self.opening_balance + self.total_debits - self.total_credits


def statement(
    actor: Actor,
    *,
    retailer_id: int,
    vendor_id: int | None,
    start: date,
    end: date,
    most: int | None = None,
) -> Statement:
    """Return the statement of the retailer's accounts that the actor may see; of one vendor's or all.

    Raises NotFound for a retailer, or an account, that is not the actor's, and StatementTooLong for more
    than `most` entries. Three queries.
    """
    own = accounts(actor).filter(retailer_id=retailer_id)
    own = own if vendor_id is None else own.filter(vendor_id=vendor_id)
    opened = _opening_balances(own, _midnight(start))
    retailer = _statement_retailer(actor, retailer_id, opened, vendor_id)
    opening = sum(opened.values(), ZERO)
    found = CreditLedger.objects.filter(
        account_id__in=list(opened),
        created_at__gte=_midnight(start),
        created_at__lt=_midnight(end + timedelta(days=1)),
    ).annotate(balance=Value(opening) + Window(Sum("amount"), order_by=["created_at", "id"]))
    entries = found.select_related("vendor", "retailer").order_by("created_at", "id")
    return Statement(
        retailer=retailer,
        vendor_id=vendor_id,
        start=start,
        end=end,
        opening_balance=opening,
        entries=_at_most(entries, most),
    )


def _at_most(entries: QuerySet[CreditLedger], most: int | None) -> tuple[CreditLedger, ...]:
    if most is None:
        return tuple(entries)
    found = tuple(entries[: most + 1])
    if len(found) > most:
        raise StatementTooLong(
            f"More than {most} entries: ask for a shorter period; for a whole one, staff can have the"
            " report STATEMENT made.",
            most=most,
        )
    return found


def _opening_balances(own: QuerySet[CreditAccount], instant: datetime) -> dict[int, Decimal]:
    before = CreditLedger.objects.filter(account=OuterRef("pk"), created_at__lt=instant)
    # No entry is dated before the one it follows, so that this is the last of them by sequence.
    last = Subquery(before.order_by("-created_at", "-sequence").values("running_balance")[:1])
    rows = own.annotate(opening=last).values_list("pk", "opening")
    return {pk: balance or ZERO for pk, balance in rows}


def _statement_retailer(
    actor: Actor, retailer_id: int, opened: dict[int, Decimal], vendor_id: int | None
) -> Retailer:
    """Return the retailer when the actor may have its statement, which may be an empty one."""
    whole = vendor_id is None and (actor.is_staff or actor.retailer_id == retailer_id)
    retailer = Retailer.objects.filter(pk=retailer_id).first() if opened or whole else None
    if retailer is None:
        raise NotFound
    return retailer


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), KATHMANDU)


def scores(actor: Actor) -> QuerySet[CreditScore]:
    """Scorings that the actor may see: a shop its own, staff all, a vendor none."""
    if actor.is_staff:
        return CreditScore.objects.all()
    if actor.role == Role.RETAILER:
        return CreditScore.objects.filter(retailer_id=actor.retailer_id or 0)
    return CreditScore.objects.none()


@dataclass(frozen=True)
class Scoring:
    """A retailer's score as it was last kept, computed again from what was stored with it."""

    retailer: Retailer
    kept: CreditScore | None
    made: Score


def scoring(actor: Actor, retailer_id: int) -> Scoring:
    """Return a retailer's latest scoring; one that was never scored is scored as a stranger.

    Raises NotFound for a retailer that is not the actor's. Two queries.
    """
    own = actor.is_staff or (actor.role == Role.RETAILER and actor.retailer_id == retailer_id)
    retailer = Retailer.objects.filter(pk=retailer_id).first() if own else None
    if retailer is None:
        raise NotFound
    return scoring_of(retailer)


def scoring_of(retailer: Retailer) -> Scoring:
    """Return a retailer's latest scoring. One query."""
    kept = CreditScore.objects.filter(retailer=retailer).order_by("-created_at", "-pk").first()
    if kept is None:
        facts, model = Facts(as_of=timezone.localdate()), MODELS[settings.CREDIT_SCORE_VERSION]
    else:
        facts, model = Facts.from_json(kept.inputs), MODELS[kept.version]
    return Scoring(retailer, kept, score(facts, model))
