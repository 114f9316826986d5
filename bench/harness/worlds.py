"""One database for each size of trade, side by side on one server, so that rounds can alternate."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper

from bench.harness.rounds import Call
from khaacho import sql

EMPTY = "bench_empty"  # migrated once, copied for each size


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


def at_home(orders: int) -> World:
    """Return the database that is connected already, as a world."""
    return World(orders)


@contextmanager
def several(
    sizes: tuple[int, ...], load: Callable[[int], None], done: Callable[[str], None]
) -> Iterator[dict[int, World]]:
    """Make a database of each size, filled by `load(orders)` inside it; drop them all afterwards."""
    home = connections["default"]
    names = {size: f"bench_{size}" for size in sizes}
    try:
        _create(EMPTY)
        _enter(EMPTY)
        done("migrate")
        call_command("migrate", interactive=False, verbosity=0)
        connection.close()
        worlds = {}
        for size, name in names.items():
            connections["default"] = home
            _create(name, EMPTY)
            worlds[size] = World(size, _enter(name))
            done(f"load {size:,} orders")
            load(size)
            settle()
        yield worlds
        for world in worlds.values():
            assert world.database
            world.database.close()
    finally:
        connections["default"] = home
        for name in (*names.values(), EMPTY):
            sql.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def settle() -> None:
    """Let the planner know of the rows and index-only scans of the pages, before anything is timed."""
    sql.execute("VACUUM (ANALYZE)")
    sql.execute("CHECKPOINT")


def _create(name: str, template: str = "template1") -> None:
    sql.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    sql.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')


def _enter(name: str) -> DatabaseWrapper:
    description: dict[str, Any] = {**settings.DATABASES["default"], "NAME": name}
    options = dict(description["OPTIONS"])
    options["options"] = f"{options.get('options', '')} -c statement_timeout=0"
    wrapper = DatabaseWrapper(
        {**connections["default"].settings_dict, **description, "OPTIONS": options}, "default"
    )
    connections["default"] = wrapper
    return wrapper
