"""Guessing of passwords slowed down per phone and per address, in PostgreSQL and by its clock.

An attempt counts as a failure from its beginning until the password has proved right, so that many
guesses at once are no cheaper than one after the other.
"""

from django.db import transaction

from khaacho import sql
from khaacho.exceptions import KhaachoError

WINDOW = 15 * 60  # seconds that a failure counts
PHONE_FAILURES = 5  # in the window, before a phone has to wait
ADDRESS_FAILURES = 20  # likewise for an address, which a market's shops may share
FIRST_WAIT = 30  # seconds; doubles with each failure more
LONGEST_WAIT = WINDOW


class TooManyFailures(KhaachoError):
    """Too many failed attempts to sign in; wait and try again."""

    code = "too_many_sign_in_failures"
    status = 429

    def __init__(self, wait: int) -> None:
        self.retry_after = wait
        super().__init__(retry_after=wait)


def record_attempt(*, phone: str, address: str | None) -> None:
    """Count an attempt to sign in with `phone` from `address`; a refused one is not counted.

    Commits by itself. Serialised per phone and per address: first the phone, then the address, so
    that no two attempts wait for each other. Raises TooManyFailures.
    """
    with transaction.atomic():
        _lock("phone", phone)
        wait = _wait("phone", phone, PHONE_FAILURES)
        if address is not None:
            _lock("address", address)
            wait = max(wait, _wait("address", address, ADDRESS_FAILURES))
        if wait:
            raise TooManyFailures(wait)
        sql.execute(
            "INSERT INTO sign_in_failures (phone, address) VALUES (%s, %s)", [phone, address]
        )


def forget(*, phone: str) -> None:
    """Drop the phone's failures: it signed in."""
    sql.execute("DELETE FROM sign_in_failures WHERE phone = %s", [phone])


def _lock(kind: str, value: str) -> None:
    sql.fetch("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"sign-in:{kind}:{value}"])


def _wait(column: str, value: str, allowed: int) -> int:
    """Return the seconds until the next attempt may be made; 0 for now. One index range."""
    row = sql.fetch_one(
        "SELECT count(*), coalesce(extract(epoch FROM statement_timestamp() - max(created_at)), 0)"
        f" FROM sign_in_failures WHERE {column} = %s"
        " AND created_at > statement_timestamp() - make_interval(secs => %s)",
        [value, WINDOW],
    )
    assert row
    failures, age = int(row[0]), float(row[1])
    if failures < allowed:
        return 0
    wait: float = min(FIRST_WAIT * 2 ** min(failures - allowed, 20), LONGEST_WAIT) - age
    return max(0, int(wait) + (wait > int(wait)))
