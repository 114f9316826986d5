"""How a shop stands, on its page in the admin; and the list of those whose credit is held."""

from datetime import timedelta

import pytest
from django.utils import timezone

from credit.models import CreditScore, Retailer
from khaacho import jobs
from orders import services as orders
from payments import scores
from tests.admin.conftest import signed_in
from tests.admin.desk import act, list_of, page_of
from tests.factories import advance, backdate_due, make_offer, make_order, make_retailer

pytestmark = pytest.mark.django_db


def late_shop(late: int = 40) -> Retailer:
    shop = make_retailer(credit_limit=1000)
    backdate_due(advance(make_order(shop, make_offer(price=250)), "DELIVERED"), 30 + late)
    orders.mark_overdue()
    return shop


def test_shows_ageing_hold_points_reasons_and_advice(admin):
    shop = late_shop()
    scores.rescore(retailer_ids=[shop.pk])
    kept = CreditScore.objects.get()
    text = admin.get(page_of(shop)).content.decode()
    for part in (
        "The oldest due is 40 days late, more than 30: new orders on credit are held",
        '<th scope="col">31–60</th>',
        "NPR 250.00",
        f"<strong>{kept.score}</strong> fair",
        "Provisional: fewer than 3 invoices settled so far",
        "1 of 1 invoice late, worst 40 days: −",
        "paid today: the score stays",
        "the starter limit stays until three invoices are settled",
    ):
        assert part in text, part
    assert "style=" not in text.split('class="standing"')[1].split("</section>")[0]


def test_draws_the_history_once_there_are_two_scorings(admin):
    shop = make_retailer()
    for days, number in ((10, 600), (5, 750), (0, 300)):
        kept = CreditScore.objects.create(
            retailer=shop,
            score=number,
            version="v1",
            inputs=scores.known(shop.pk).facts.as_json(),
            components=[],
        )
        CreditScore.objects.filter(pk=kept.pk).update(
            created_at=timezone.now() - timedelta(days=days)
        )
        text = admin.get(page_of(shop)).content.decode()
        assert ("<polyline" in text) is (CreditScore.objects.count() > 1)
    assert 'points="0,60 300,30 600,120"' in text
    assert "lowest 300, highest 750. All scorings are listed under Scores." in text


def test_a_shop_never_scored_has_a_page(admin):
    text = admin.get(page_of(make_retailer(approved=False))).content.decode()
    assert "<strong>630</strong> fair" in text
    assert "never computed yet" in text


def test_is_shown_to_those_who_may_see_scores(member):
    shop = late_shop()
    assert 'class="standing"' in signed_in(member("Support")).get(page_of(shop)).content.decode()
    catalogue = signed_in(member("Catalogue")).get(page_of(shop))
    assert (catalogue.status_code, b'class="standing"' in catalogue.content) == (200, False)


def test_rescores_now(admin):
    shop = late_shop()
    act(admin, shop, "rescore_retailer")
    jobs.run_due(100)
    assert CreditScore.objects.filter(retailer=shop).exists()


def test_lists_those_whose_credit_is_held(admin):
    held, _ = late_shop(31), late_shop(30)
    found = admin.get(list_of(Retailer), {"hold": "held"}).context["cl"].result_list
    assert list(found) == [held]
