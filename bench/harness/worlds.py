"""One database for each size of trade, side by side on one server, so that rounds can alternate."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections

from bench.harness.rounds import Call
from khaacho import sql
from khaacho.db.base import DatabaseWrapper


@dataclass(frozen=True)
class World:
    """A database with a trade of about `orders` orders; None is the database that is connected."""

    orders: int
    database: DatabaseWrapper | None = None

    def enter(self) -> None:
        """Make this the database that the application's own `connection` is."""
        if self.database is not None:
            connections["default"] = self.database

    def inside(self, call: Call) -> Call:
        """Return the call as one that happens in this world."""

        def there() -> object:
            self.enter()
            return call()

        return there

    @property
    def url(self) -> str:
        """Return the libpq string of this world, for processes of their own."""
        given = (self.database or connection).get_connection_params()
        names = {
            "dbname": "dbname",
            "user": "user",
            "password": "password",
            "host": "host",
            "port": "port",
        }
        return " ".join(f"{key}='{given[name]}'" for name, key in names.items() if given.get(name))


@contextmanager
def several(
    sizes: Sequence[int], fill: Callable[[int], None], say: Callable[[str], None], *, keep: bool
) -> Iterator[dict[int, World]]:
    """Give a database of each size, filled by `fill(orders)` inside it, and drop them all afterwards.

    `keep` leaves them for the next run with it, which takes them as they are.
    """
    home = connections["default"]
    worlds: dict[int, World] = {}
    try:
        for size in sizes:
            if not (keep and _exists(_name(size))):
                _make(size, fill, say)
            worlds[size] = World(size, _enter(_name(size)))
            connections["default"] = home
        yield worlds
    finally:
        connections["default"] = home
        for world in worlds.values():
            assert world.database
            world.database.close()
        for size in () if keep else sizes:
            _drop(_name(size))
        home.close()


def _name(size: int) -> str:
    return f"bench_{size}"


def _make(size: int, fill: Callable[[int], None], say: Callable[[str], None]) -> None:
    """Migrate and fill a draft, which gets its name when it is whole."""
    draft = f"{_name(size)}_draft"
    _drop(_name(size))
    say(f"loading {size:,} orders")
    with _migrated(draft):
        fill(size)
        settle()
    sql.execute(f'ALTER DATABASE "{draft}" RENAME TO "{_name(size)}"')


@contextmanager
def _migrated(name: str) -> Iterator[None]:
    """Make an empty, migrated database and be in it."""
    home = connections["default"]
    _drop(name)
    sql.execute(f'CREATE DATABASE "{name}"')
    database = _enter(name)
    try:
        call_command("migrate", interactive=False, verbosity=0)
        yield
    finally:
        database.close()
        connections["default"] = home


@contextmanager
def empty(name: str) -> Iterator[None]:
    """Be in an empty, migrated database, which is dropped afterwards."""
    try:
        with _migrated(name):
            yield
    finally:
        _drop(name)


@contextmanager
def copy(of: World, name: str) -> Iterator[World]:
    """Give a copy of a world, and drop it afterwards."""
    assert of.database, "the database that is at home is not copied"
    of.enter()
    _drop(name)
    sql.execute(f'CREATE DATABASE "{name}" TEMPLATE "{of.database.settings_dict["NAME"]}"')
    made = World(of.orders, _enter(name))
    try:
        yield made
    finally:
        assert made.database
        made.database.close()
        of.enter()
        _drop(name)


def is_superuser() -> bool:
    """Return whether the role may do what a superuser may."""
    row = sql.fetch_one("SELECT current_setting('is_superuser')")
    return row == ("on",)


def settle() -> None:
    """Let the planner know of the rows and index-only scans of the pages, before anything is timed."""
    sql.execute("VACUUM (ANALYZE)")
    if is_superuser():
        sql.execute("CHECKPOINT")


def _exists(name: str) -> bool:
    return sql.fetch_one("SELECT FROM pg_database WHERE datname = %s", [name]) is not None


def _drop(name: str) -> None:
    sql.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _enter(name: str) -> DatabaseWrapper:
    description: dict[str, Any] = {**settings.DATABASES["default"], "NAME": name}
    options = dict(description["OPTIONS"])
    options["options"] = f"{options.get('options', '')} -c statement_timeout=0"
    wrapper = DatabaseWrapper(
        {**connections["default"].settings_dict, **description, "OPTIONS": options}, "default"
    )
    connections["default"] = wrapper
    return wrapper
