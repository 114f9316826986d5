"""The page about releases: what became slower with one, from the same figures as the selectors."""

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from monitoring.history.models import ReleaseMarker
from tests.monitoring.history.sampling import DAY, HOUR
from tests.monitoring.history.test_regressions import make, marker  # noqa: F401 - a fixture
from tests.monitoring.pages.reading import body, url, words

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])


def test_without_a_release_it_says_how_to_mark_one(keeper):
    assert "manage.py release_marker NAME" in body(keeper, url("releases"))


def test_what_became_slower_is_listed_by_added_time(keeper, marker):  # noqa: F811 - the fixture
    make(marker, 1, (50, 10, 3), (50, 20, 5))
    make(marker, 2, (50, 10, 3), (500, 16, 5))
    make(marker, 3, (50, 10, 3), (50, 10.5, 3))
    text = words(body(keeper, url("releases")))
    assert text.index("SELECT 2") < text.index("SELECT 1")
    assert "SELECT 3" not in text
    assert "SELECT 1 10 ms 20 ms 2.0 slower +8.62 ms 100 1.0 s" in text
    assert "have taken 7.0 s more than they would have" in text


def test_an_earlier_release_can_be_chosen_and_one_without_samples_says_so(keeper, marker):  # noqa: F811 - the fixture
    make(marker, 1, (50, 10, 3), (50, 20, 5))
    newer = ReleaseMarker.objects.create(name="v3", released_at=marker.released_at + HOUR + DAY)
    assert "nothing to compare" in body(keeper, url("releases"))
    older = body(keeper, url("releases", release=str(marker.pk)))
    assert f'release={marker.pk}" aria-current="true">v2' in older
    assert f'release={newer.pk}">v3' in older
    assert "SELECT 1" in older
    assert "nothing to compare" in body(keeper, url("releases", release="-1"))


def test_nothing_slower_is_said(keeper, marker):  # noqa: F811 - the fixture
    make(marker, 3, (50, 10, 3), (50, 10.5, 3))
    text = words(body(keeper, url("releases")))
    assert "No statement with 30 calls on either side takes 1.5 times what it took." in text


def test_costs_the_same_statements_however_much_became_slower(keeper, marker):  # noqa: F811 - the fixture
    counts = []
    for number in (1, 30):
        for each in range(number):
            make(marker, 100 * number + each, (50, 10, 3), (50, 20, 5))
        with CaptureQueriesContext(connections["monitor"]) as captured:
            body(keeper, url("releases"))
        counts.append(len(captured))
    assert counts[0] == counts[1]
