"""Limits that the score suggests: how much, for whom, how often, and two at once."""

from decimal import Decimal

import pytest
from django.db import connection

from credit import services, suggestions, tasks
from credit.enums import RequestState
from credit.models import CreditAccount, CreditScore, LimitChange, Retailer
from credit.scoring import V1, Facts, score
from khaacho import jobs
from khaacho.actors import SYSTEM
from khaacho.exceptions import Conflict
from khaacho.models import Job
from tests.factories import make_actor, make_offer, make_order, make_retailer
from tests.races import crowd

pytestmark = pytest.mark.django_db


def give_score(shop: Retailer, number: int, *, provisional: bool = False) -> None:
    """Let the shop have been scored so; what it is made of does not matter here."""
    CreditScore.objects.create(
        retailer=shop,
        score=number,
        version="v1",
        inputs={},
        components=[],
        is_provisional=provisional,
    )
    Retailer.objects.filter(pk=shop.pk).update(credit_score=number)


def scored_shop(number: int, limit: int = 100_000, **kind) -> Retailer:
    shop = make_retailer(credit_limit=limit)
    give_score(shop, number, **kind)
    return shop


def limit_of(shop: Retailer) -> Decimal:
    return Retailer.objects.get(pk=shop.pk).credit_limit


@pytest.mark.parametrize(
    ("band", "limit", "suggested"),
    [
        ("excellent", 100_000, 120_000),
        ("excellent", 900_000, 1_000_000),
        ("excellent", 2_000_000, 2_000_000),
        ("good", 100_000, 110_000),
        ("good", 480_000, 500_000),
        ("good", 700_000, 700_000),
        ("fair", 100_000, 100_000),
        ("poor", 100_000, 90_000),
        ("very_poor", 100_000, 80_000),
        ("very_poor", Decimal("100.03"), Decimal("80.02")),
    ],
)
def test_what_a_band_suggests(band, limit, suggested):
    assert suggestions.suggested(Decimal(limit), band) == suggested


def test_a_suggestion_waits_for_an_officer():
    shop = scored_shop(760)
    change = services.suggest_limit(retailer_id=shop.pk)
    assert (change.state, change.is_automatic, change.requested_by) == ("PENDING", True, None)
    assert (change.old_limit, change.new_limit, limit_of(shop)) == (100_000, 120_000, 100_000)
    services.decide_limit_change(change_id=change.pk, approve=True, actor=make_actor())
    assert limit_of(shop) == 120_000


def test_applies_at_once_where_that_is_wanted(settings):
    settings.CREDIT_AUTOMATIC_LIMITS = True
    shop = scored_shop(449)
    change = services.suggest_limit(retailer_id=shop.pk)
    assert (change.state, limit_of(shop)) == (RequestState.APPROVED, 80_000)


def test_a_large_rise_waits_even_then(settings):
    settings.CREDIT_AUTOMATIC_LIMITS = True
    shop = scored_shop(760, limit=190_000)
    change = services.suggest_limit(retailer_id=shop.pk)
    assert (change.state, change.needs_second_person, limit_of(shop)) == ("PENDING", True, 190_000)


def provisional() -> Retailer:
    return scored_shop(760, provisional=True)


def never_scored() -> Retailer:
    return make_retailer()


def without_limit() -> Retailer:
    return scored_shop(760, limit=0)


def blocked() -> Retailer:
    shop = scored_shop(760)
    services.block_retailer(retailer_id=shop.pk, reason="x", actor=SYSTEM)
    return shop


def frozen() -> Retailer:
    shop = scored_shop(760)
    make_order(shop, make_offer())
    account = CreditAccount.objects.get(retailer=shop)
    services.freeze_account(account_id=account.pk, reason="x", actor=SYSTEM)
    return shop


def fair() -> Retailer:
    return scored_shop(600)


def waiting() -> Retailer:
    shop = scored_shop(760)
    services.change_limit(
        retailer_id=shop.pk, new_limit=Decimal(900_000), reason="x", actor=make_actor()
    )
    return shop


@pytest.mark.parametrize(
    "make", [provisional, never_scored, without_limit, blocked, frozen, fair, waiting]
)
def test_suggests_nothing_for(make, settings):
    settings.CREDIT_AUTOMATIC_LIMITS = True
    shop = make()
    before = limit_of(shop)
    assert services.suggest_limit(retailer_id=shop.pk) is None
    assert limit_of(shop) == before
    assert not LimitChange.objects.filter(is_automatic=True).exists()


@pytest.mark.parametrize(("days", "again"), [(29, False), (31, True)])
def test_at_most_one_in_30_days(settings, days, again):
    settings.CREDIT_AUTOMATIC_LIMITS = True
    shop = scored_shop(760)
    services.suggest_limit(retailer_id=shop.pk)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE credit_limit_changes SET created_at = created_at - make_interval(days => %s)",
            [days],
        )
    assert (services.suggest_limit(retailer_id=shop.pk) is not None) is again
    assert limit_of(shop) == (144_000 if again else 120_000)


def test_one_that_waits_gives_way_to_an_officers_own_change():
    shop = scored_shop(760)
    suggestion = services.suggest_limit(retailer_id=shop.pk)
    services.change_limit(
        retailer_id=shop.pk, new_limit=Decimal(50_000), reason="knows better", actor=make_actor()
    )
    suggestion.refresh_from_db()
    assert (suggestion.state, limit_of(shop)) == (RequestState.DECLINED, 50_000)


def test_a_persons_pending_change_does_not_give_way():
    shop = waiting()
    with pytest.raises(Conflict):
        services.change_limit(
            retailer_id=shop.pk, new_limit=Decimal(1), reason="x", actor=make_actor()
        )


@pytest.mark.parametrize("becomes", [500, 600])
def test_one_that_waits_is_withdrawn_when_the_score_suggests_something_else(becomes):
    shop = scored_shop(760)
    suggestion = services.suggest_limit(retailer_id=shop.pk)
    give_score(shop, becomes)
    assert services.suggest_limit(retailer_id=shop.pk) is None
    suggestion.refresh_from_db()
    assert suggestion.state == RequestState.DECLINED


def test_the_night_looks_at_those_whose_band_asks_for_it_or_that_wait():
    rises, falls, _ = scored_shop(650), scored_shop(549), scored_shop(649)
    was = scored_shop(760)
    services.suggest_limit(retailer_id=was.pk)
    give_score(was, 600)
    tasks.suggest_limits()
    queued = Job.objects.filter(kind="credit.suggest_limit").order_by("pk")
    assert [job.args["retailer_id"] for job in queued] == [rises.pk, falls.pk, was.pk]
    jobs.run_due(100)
    states = LimitChange.objects.order_by("retailer_id").values_list("new_limit", "state")
    assert list(states) == [(110_000, "PENDING"), (90_000, "PENDING"), (120_000, "DECLINED")]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_change_the_limit_once(settings):
    settings.CREDIT_AUTOMATIC_LIMITS = True
    shop = scored_shop(760)
    assert crowd(lambda: services.suggest_limit(retailer_id=shop.pk), 6) == {"ok": 6}
    assert limit_of(shop) == 120_000
    assert LimitChange.objects.filter(is_automatic=True).count() == 1


def test_says_it_in_words():
    shop = make_retailer(credit_limit=100_000)
    stranger = score(Facts(as_of=shop.created_at.date()), V1)
    assert suggestions.sentence(shop, stranger) == (
        "Suggested limit: the starter limit stays until three invoices are settled."
    )
