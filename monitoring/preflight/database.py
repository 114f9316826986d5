"""What the database must have: this release's migrations, its indexes, what the pages read, room, a modest role."""

import os
import time
from collections.abc import Iterator

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from khaacho import jobs, months, sql
from monitoring import health, indexes
from monitoring.archiving import leaving
from monitoring.database import capabilities
from monitoring.indexes import Kind
from monitoring.pages import indexes as used
from monitoring.pages import pool, remedies
from monitoring.preflight.lines import Fault

WEB_POOL = "50"  # what wsgi.py takes when DB_POOL_MAX is not set
THREADS = 4  # of a web process, each with a connection of the monitoring's own for as long as a page takes
CLOCKS = 1.0  # seconds that two clocks may differ by
SHOWN = 5
MONTH_DAYS = 31  # a job makes them three months ahead, every night
CONVENIENT = ("bloat.exact", "index.whatif")  # extensions that a server need not have
BOOTSTRAP = 10  # the oid of the role that made the server


def migrations() -> Iterator[Fault]:
    applied = set(MigrationRecorder(connection).migration_qs.values_list("app", "name"))
    missing = sorted(health.expected_migrations() - applied)
    if missing:
        names = ", ".join(f"{app}.{name}" for app, name in missing[:SHOWN])
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        yield Fault(f"Not applied: {names}{more}.", "python manage.py migrate")


def indexes_valid() -> Iterator[Fault]:
    """Compare the indexes with the models', as check_indexes does."""
    for finding in indexes.report().findings:
        if not finding.is_fault:
            continue
        said = f"{finding.table}.{finding.index} is {finding.kind}: {finding.detail}."
        yield Fault(said, _mended(finding))


def _mended(finding: indexes.Finding) -> str:
    row = sql.fetch_one("SELECT current_schema()")
    schema = row[0] if row else "public"
    if finding.kind == Kind.INVALID:
        return remedies.rebuild_index(schema, finding.index)
    if finding.kind in (Kind.DUPLICATE, Kind.PREFIX):
        return remedies.drop_index(schema, finding.table, finding.index)
    declared = finding.detail.split(", declared")[-1]
    build = remedies.build_index(schema, finding.table, finding.index, declared)
    if finding.kind == Kind.DIFFERENT:
        return f"DROP INDEX CONCURRENTLY {remedies.quoted(schema)}.{remedies.quoted(finding.index)};\n{build}"
    return build


def indexes_used() -> Iterator[Fault]:
    """Yield those that nothing scanned for 14 days; before that none is called unused."""
    for index in used.unused(used.notable()):
        yield Fault(f"{index.table}.{index.index} was not scanned in 14 days.", index.fix)


def extensions() -> Iterator[Fault]:
    for each in capabilities.capabilities():
        if not each.ok and each.id not in CONVENIENT:
            yield Fault(f"Lacking: {each.what}.", each.fix)


def connections() -> Iterator[Fault]:
    """Add up what web processes, workers and beat may open, and compare it with the server's room."""
    row = sql.fetch_one(pool.PLACES)
    assert row
    pools = int(os.environ.get("DB_POOL_MAX", WEB_POOL))
    monitoring = settings.WEB_CONCURRENCY * THREADS
    nodes = jobs.live_nodes()
    workers = (
        sum(node.concurrency + 2 for node in nodes) + 1
    )  # with its own and its heartbeat; beat
    wanted, places = pools + monitoring + workers, row[0]
    if wanted > places:
        yield Fault(
            f"{wanted} connections may be wanted (pools {pools}, monitoring {monitoring}, workers and beat"
            f" {workers}), and the server has room for {places}.",
            f"DB_POOL_MAX={max(settings.WEB_CONCURRENCY, pools - wanted + places)}\n"
            f"# or: ALTER SYSTEM SET max_connections = {wanted + 10};  -- and restart PostgreSQL",
        )


def months_kept() -> Iterator[Fault]:
    """Yield tables whose open end begins within a month: nothing is lost, but months grow together. And
    months that are on their way to a file: nobody sees them until they are put back."""
    for table in months.TABLES:
        left = (months.made_until(table) - timezone.now()).days
        if left < MONTH_DAYS:
            yield Fault(
                f"Months of {table} are made for {max(0, left)} more days alone.",
                "python manage.py make_months",
            )
        for name in leaving.unfinished():
            yield Fault(
                f"{months.SCHEMA}.{name} has left {table}, and its archive is not finished.",
                "python manage.py archive_audit",
            )


def role() -> Iterator[Fault]:
    row = sql.fetch_one("SELECT rolsuper, rolname, oid FROM pg_roles WHERE rolname = current_user")
    assert row
    is_superuser, name, oid = row
    if is_superuser:
        remedy = f"ALTER ROLE {remedies.quoted(name)} NOSUPERUSER;  -- as another superuser"
        if oid == BOOTSTRAP:  # PostgreSQL cannot do without it
            remedy = "CREATE ROLE khaacho LOGIN PASSWORD '…';  -- then restore a backup as it, and DATABASE_URL"
        yield Fault(
            f"The application signs in as {name}, a superuser: a fault in it could do anything to the server.",
            remedy,
        )


def clocks() -> Iterator[Fault]:
    before = time.time()
    row = sql.fetch_one("SELECT extract(epoch FROM clock_timestamp())::float8")
    after = time.time()
    assert row
    ahead = max(row[0] - after, before - row[0])
    if ahead > CLOCKS:
        yield Fault(
            f"The clocks of this machine and the database's differ by {ahead:.1f} seconds.",
            "timedatectl set-ntp true  # on both machines",
        )
