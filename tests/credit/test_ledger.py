"""The ledger keeps itself: sequence, balances, hashes, mirrors."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit import services
from credit.enums import EntryType
from credit.exceptions import AlreadyReversed
from credit.models import CreditAccount, CreditLedger, Retailer
from khaacho.actors import SYSTEM
from khaacho.exceptions import NotFound
from tests.factories import make_retailer, make_vendor

pytestmark = pytest.mark.django_db


@pytest.fixture
def account_id():
    return services.open_account(retailer_id=make_retailer().pk, vendor_id=make_vendor().pk)


def post(account_id, amount, key, kind=None):
    return services.post_entry(
        account_id=account_id,
        kind=kind or (EntryType.ADJUSTMENT_DEBIT if amount > 0 else EntryType.ADJUSTMENT_CREDIT),
        amount=Decimal(amount),
        key=key,
        reference="test",
        actor=SYSTEM,
    )


def test_numbers_chains_and_sums(account_id):
    for i, amount in enumerate((100, -30, 5)):
        post(account_id, amount, f"k{i}")

    rows = CreditLedger.objects.order_by("sequence").values_list(
        "sequence", "previous_balance", "amount", "running_balance"
    )
    assert list(rows) == [(1, 0, 100, 100), (2, 100, -30, 70), (3, 70, 5, 75)]
    hashes = list(CreditLedger.objects.order_by("sequence").values_list("previous_hash", "hash"))
    assert [h[0] for h in hashes] == ["", hashes[0][1], hashes[1][1]]
    account = CreditAccount.objects.get()
    assert (account.balance, account.last_sequence, account.last_hash) == (75, 3, hashes[2][1])
    assert Retailer.objects.get().outstanding_debt == 75


def test_the_same_fact_is_posted_once(account_id):
    post(account_id, 100, "order:42:debit")
    with pytest.raises(IntegrityError), transaction.atomic():
        post(account_id, 100, "order:42:debit")
    assert CreditAccount.objects.get().balance == 100


def test_a_reversal_mirrors_once(account_id):
    entry = post(account_id, 100, "k")
    mirror = services.reverse_entry(entry_id=entry.id, note="typed wrongly", actor=SYSTEM)
    assert mirror.running_balance == 0
    with pytest.raises(AlreadyReversed):
        services.reverse_entry(entry_id=entry.id, note="again", actor=SYSTEM)
    with pytest.raises(NotFound):
        services.reverse_entry(entry_id=0, note="what", actor=SYSTEM)


def test_an_altered_row_shows_in_its_hash(account_id):
    post(account_id, 100, "k")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE credit_ledgers DISABLE TRIGGER append_only")
        cursor.execute("UPDATE credit_ledgers SET reference = 'forged'")
        cursor.execute("ALTER TABLE credit_ledgers ENABLE TRIGGER append_only")
        cursor.execute("SELECT hash = credit_ledger_hash(l) FROM credit_ledgers l")
        assert cursor.fetchone() == (False,)


def test_an_account_is_opened_once():
    retailer, vendor = make_retailer(), make_vendor()
    pair = {"retailer_id": retailer.pk, "vendor_id": vendor.pk}
    assert services.open_account(**pair) == services.open_account(**pair)
    account = CreditAccount.objects.get()
    assert (account.credit_limit, account.payment_terms_days) == (None, 30)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    amounts=st.lists(st.decimals("-99999", "99999", places=2).filter(bool), min_size=1, max_size=12)
)
def test_balances_are_sums_whatever_is_posted(amounts):
    with transaction.atomic():
        account_id = services.open_account(
            retailer_id=make_retailer().pk, vendor_id=make_vendor().pk
        )
        for i, amount in enumerate(amounts):
            entry = post(account_id, amount, f"{account_id}:{i}")
            assert entry.running_balance == sum(amounts[: i + 1])
        account = CreditAccount.objects.get(pk=account_id)
        assert account.balance == sum(amounts)
        assert Retailer.objects.get(pk=account.retailer_id).outstanding_debt == sum(amounts)
        transaction.set_rollback(True)
