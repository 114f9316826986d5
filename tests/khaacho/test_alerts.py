"""One open alert for one thing, however often it is raised."""

import datetime
from decimal import Decimal

import pytest
from django.db import transaction
from django.db.models.functions import Now

from khaacho.alerts import raise_alert
from khaacho.enums import Severity
from khaacho.models import Alert
from tests.races import race


@pytest.mark.django_db
def test_opens_an_alert_in_one_statement(django_assert_num_queries):
    with django_assert_num_queries(1):
        raise_alert(
            "ledger.differs",
            "z" * 600,
            severity=Severity.CRITICAL,
            entity_type="retailer",
            entity_id=7,
            amount=Decimal("1.50"),
            day=datetime.date(2026, 7, 1),
        )
    alert = Alert.objects.get()
    assert (alert.code, alert.severity, alert.entity_type, alert.entity_id) == (
        "ledger.differs",
        "critical",
        "retailer",
        7,
    )
    assert (alert.message, alert.occurrences, alert.resolved_at) == ("z" * 500, 1, None)
    assert alert.details == {"amount": "1.50", "day": "2026-07-01"}


@pytest.mark.django_db
def test_counts_the_same_again_and_shows_the_newest_and_the_worst():
    for severity, message in (("warning", "one"), ("critical", "two"), ("info", "three")):
        raise_alert("c", message, severity=Severity(severity), note=message)
    alert = Alert.objects.get()
    assert (alert.occurrences, alert.severity, alert.message) == (3, "critical", "three")
    assert alert.details == {"note": "three"}
    assert alert.last_seen_at > alert.created_at


@pytest.mark.django_db
def test_other_codes_and_entities_are_other_alerts():
    raise_alert("a", "m")
    raise_alert("b", "m")
    raise_alert("a", "m", entity_type="order", entity_id=1)
    raise_alert("a", "m", entity_type="order", entity_id=2)
    assert Alert.objects.count() == 4


@pytest.mark.django_db
def test_resolved_alert_is_not_reopened():
    raise_alert("a", "m")
    Alert.objects.update(resolved_at=Now())
    raise_alert("a", "m")
    assert sorted(Alert.objects.values_list("occurrences", flat=True)) == [1, 1]


@pytest.mark.django_db(transaction=True)
def test_raised_at_once_is_one_alert_that_counts_them_all():
    assert race(*[lambda: raise_alert("a", "m")] * 8) == {"ok": 8}
    assert Alert.objects.get().occurrences == 8


@pytest.mark.django_db
def test_is_undone_with_its_transaction():
    with transaction.atomic():
        raise_alert("a", "m")
        transaction.set_rollback(True)
    assert not Alert.objects.exists()
