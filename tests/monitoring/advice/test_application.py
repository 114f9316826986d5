"""The application's own pages on 20,000 orders: each statement has a plan, and no silly index is proposed."""

from collections.abc import Iterator

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from bench import scale
from bench.scale.visitors import visitors
from khaacho import sql
from monitoring.advice import advisor, candidates, plans, relations, statements
from monitoring.advice.planning import planning
from tests.conftest import flush
from tests.monitoring.advice.conftest import copied, point_at
from tests.plans.test_lists import PAGES

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])


@pytest.fixture(scope="module")
def trade(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Load the trade into a database, and visit each page in a copy, whose statistics are empty."""
    with django_db_blocker.unblock():
        flush()
        plain = connection.settings_dict["NAME"]
        with copied(plain, f"{plain}_loaded") as loaded:
            point_at(loaded)
            scale.load(scale.Scale(orders=20_000, products=2_000, vendors=300), lambda _step: None)
            with copied(loaded, f"{plain}_visited") as visited:
                point_at(visited)
                sql.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
                _visit()
                yield
                point_at(plain)


def _visit():
    known = visitors()
    for _ in range(3):
        for page in PAGES:
            getattr(known, page.who).get(page.path.format(v=known))


def test_every_statement_of_the_pages_has_a_plan_and_no_index_is_silly(trade):
    advice = advisor.advise(limit=60, seconds=50)
    assert advice.planned >= 30
    assert advice.skipped == {}
    assert advice.candidates > 20
    with planning() as planner:
        known = relations.load(planner, {each.candidate.table for each in advice.suggestions})
    for each in advice.suggestions:
        relation = known[each.candidate.table]
        assert relation.bytes >= candidates.LEAST_BYTES
        assert candidates.serving(each.candidate, relation.indexes) is None
        assert min(h.cost_after / h.cost_before for h in each.helped) <= 0.5
        assert each.saved_ms / each.workload_ms > 0.02
    # At most one by what the statements cost; one more for a statement that weighs too much, since it had to wait.
    assert len(advice.suggestions) <= 2


def test_plan_trees_of_real_statements(trade):
    with planning() as planner:
        top = statements.top(planner, 60)
    for words, relation in (
        ('FROM "orders"', "orders"),
        ('FROM "credit_ledgers"', "credit_ledgers"),
        ('FROM "payments"', "payments"),
        ('FROM "vendor_products"', "vendor_products"),
        ("WITH day AS", "orders"),
    ):
        found = [each for each in top if words in each.text]
        assert found, words
        plan = plans.explain(found[0].queryid)
        assert relation in set(_relations(plan)), words
        assert 0.99 < sum(_shares(plan)) < 1.01


def _relations(plan):
    yield plan.relation
    for child in plan.children:
        yield from _relations(child)


def _shares(plan):
    yield plan.share
    for child in plan.children:
        yield from _shares(child)
