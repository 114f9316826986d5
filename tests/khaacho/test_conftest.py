"""The ground under the tests holds."""

import socket

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.db import connection
from pytest_socket import SocketConnectBlockedError

from khaacho.enums import Role
from khaacho.models import AuditLog, User
from orders.models import FiscalYear
from tests.conftest import flush


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_network_is_blocked():
    with pytest.raises(SocketConnectBlockedError):
        socket.create_connection(("192.0.2.1", 80), timeout=0.1)


@pytest.mark.django_db(transaction=True)
def test_flush_empties_append_only_tables_and_keeps_reference_rows_and_triggers():
    User.objects.create_user("+9779800000001", name="Sita", role=Role.ADMIN)
    assert AuditLog.objects.count() == 1
    flush()
    assert AuditLog.objects.count() == User.objects.count() == 0
    assert FiscalYear.objects.exists()
    assert Permission.objects.exists()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'O'"
        )
        assert cursor.fetchone() == (0,)


@pytest.mark.parametrize("turn", [1, 2])
def test_cache_starts_empty(turn: int):
    assert cache.get("left-over") is None
    cache.set("left-over", turn)
