"""A restore either puts back exactly what was, or leaves the database that stands as it is."""

import hashlib
import shutil
import threading
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from monitoring.backups import contents, recovery, restoring, shelf
from monitoring.backups import manifest as manifests
from monitoring.models import Backup
from tests.monitoring.backups.making import databases, directory, file_of, make, names, run
from tests.monitoring.database.servers import Server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def made(site):
    return make()


@pytest.fixture
def changed(made, server, site):
    """A backup, after which the shop's database went on."""
    with server.connect(site) as session:
        session.execute('DELETE FROM "खाता बही" WHERE id > 100')
        session.execute("INSERT INTO parted VALUES (5, 7)")
    return made


def counted(server: Server, database: str) -> contents.Tables:
    with server.connect(database) as session:
        return contents.count(session)


def force(site: str, *arguments: str) -> str:
    return run("restore", *arguments, "--force", "--yes", site)


def stands_untouched(server: Server, site: str) -> None:
    """Nothing was restored: the rows of afterwards are there, and no database is left beside."""
    assert counted(server, site)["public.खाता बही"].rows == 100
    assert databases(server, site) == [site]


def test_it_is_as_it_was(changed, server, site):
    said = force(site, changed.name)
    assert counted(server, site) == changed.tables
    [kept] = [name for name in databases(server, site) if name != site]
    assert kept.startswith(f"{site}_before_2")
    assert counted(server, kept)["public.खाता बही"].rows == 100
    assert f"The old database is {kept}." in said
    assert "migrations are to be applied" not in said
    with server.connect(site) as session:
        names_there = session.execute(
            'SELECT "पसलको नाम" FROM "खाता बही" ORDER BY id DESC LIMIT 1'
        ).fetchone()
        assert names_there == ("श्री गणेश किराना 400",)
        assert session.execute(
            "SELECT count(*) FROM users WHERE name = 'सीता दाहाल'"
        ).fetchone() == (1,)


def test_what_was_restored_guards_itself_as_before(changed, server, site):
    """Triggers, the monitoring's views, identities: it is a site, not a heap of rows."""
    force(site, changed.name, "--drop-old")
    assert databases(server, site) == [site]
    with server.connect(site) as session:
        for statement in (
            "TRUNCATE credit_ledgers CASCADE",
            "DELETE FROM audit_logs",
            "UPDATE order_status_logs SET reason = 'x'",
        ):
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
                session.execute(statement)
        session.execute("SELECT * FROM monitor.capabilities")
        session.execute("SELECT * FROM slow_queries")
        session.execute('INSERT INTO "खाता बही" ("जम्मा रकम") VALUES (1)')
        row = session.execute('SELECT max(id) FROM "खाता बही"').fetchone()
        assert row == (401,)
    done = server.manage(site, "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.manage(site, "migrate", "--check").returncode == 0


@pytest.mark.parametrize("where", [0, 0.5, -1])
def test_one_flipped_bit_is_refused(changed, server, site, where):
    path = file_of(changed)
    body = bytearray(path.read_bytes())
    body[int(len(body) * where) if where != -1 else -1] ^= 1
    path.write_bytes(body)
    with pytest.raises(CommandError, match=r"its SHA-256 is not the manifest's\. Nothing"):
        force(site, changed.name)
    stands_untouched(server, site)


def test_a_truncated_file_is_refused(changed, server, site):
    path = file_of(changed)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CommandError, match=f"is truncated: it has {changed.size - 1} of"):
        force(site, changed.name)
    path.write_bytes(b"")
    with pytest.raises(CommandError, match="is truncated: it has 0 of"):
        force(site, changed.name)
    stands_untouched(server, site)


def test_a_file_without_its_manifest_or_with_anothers_is_refused(changed, server, site):
    beside = shelf.manifest_path(file_of(changed))
    text = beside.read_text()
    beside.write_text(text[:-20])
    with pytest.raises(CommandError, match="is no manifest of a backup, or is damaged"):
        force(site, str(file_of(changed)))
    beside.write_text(text.replace(changed.file, "another.dump.zst"))
    with pytest.raises(CommandError, match="is of another"):
        force(site, str(file_of(changed)))
    beside.unlink()
    with pytest.raises(CommandError, match="There is no manifest"):
        force(site, str(file_of(changed)))
    with pytest.raises(CommandError, match="There is no backup nowhere"):
        force(site, "nowhere")
    stands_untouched(server, site)


def test_a_manifest_that_says_something_else_than_the_dump(changed, server, site):
    """The file is whole, but its rows are not those that were counted: seen before the swap."""
    beside = shelf.manifest_path(file_of(changed))
    text = beside.read_text().replace('"100250.00"', '"100250.01"')
    beside.write_text(text)
    with pytest.raises(
        CommandError, match=r"sum of public\.खाता बही\.जम्मा रकम is 100250\.00 instead"
    ):
        force(site, changed.name)
    stands_untouched(server, site)


@pytest.fixture
def encrypted(site, settings, tmp_path):
    """An encrypted backup, and the path of its key."""
    key = tmp_path / "key"
    run("make_backup_key", str(key))
    settings.BACKUP_ENCRYPTION_KEY_FILE = str(key)
    return make()


def test_the_key_opens_it(encrypted, server, site, settings, tmp_path):
    settings.BACKUP_ENCRYPTION_KEY_FILE = ""
    force(site, encrypted.name, "--key-file", str(tmp_path / "key"))
    assert counted(server, site) == encrypted.tables


def test_a_wrong_key_or_none_is_a_sentence(encrypted, server, site, settings, tmp_path):
    with server.connect(site) as session:
        session.execute('DELETE FROM "खाता बही" WHERE id > 100')
    run("make_backup_key", str(tmp_path / "other"))
    with pytest.raises(CommandError, match="The key is not one that this backup was encrypted for"):
        force(site, encrypted.name, "--key-file", str(tmp_path / "other"))
    settings.BACKUP_ENCRYPTION_KEY_FILE = ""
    with pytest.raises(CommandError, match="is encrypted and there is no key"):
        force(site, encrypted.name)
    stands_untouched(server, site)
    with pytest.raises(CommandError, match="is encrypted and there is no key"):
        run("verify_backup")
    row = Backup.objects.get()
    assert (row.drill_result, row.verified_at) == ("failed", None)


def test_data_is_replaced_only_by_who_types_its_name(changed, server, site):
    with pytest.raises(CommandError, match=rf"{site} has data .* Nothing was touched"):
        run("restore", changed.name)
    with pytest.raises(CommandError, match="The name was not typed"):
        run("restore", changed.name, "--force")
    with pytest.raises(CommandError, match="The name was not typed"):
        run("restore", changed.name, "--force", "--yes", "another")
    said = run("restore", changed.name, "--dry-run")
    assert f"It would take the place of {site}. Nothing was changed." in said
    stands_untouched(server, site)


def test_a_machine_that_has_no_database_yet(made, server, site, settings):
    fresh = f"{site}_नयाँ मेसिन"
    settings.BACKUP_DATABASE_URL = f"host={server.host} dbname='{fresh}' user={server.owner}"
    said = run("restore", made.name)
    assert "The old database" not in said
    assert databases(server, fresh) == [fresh]
    with psycopg.connect(settings.BACKUP_DATABASE_URL) as session:
        assert contents.count(session) == made.tables


def test_an_empty_migrated_database_needs_no_force(made, server, site):
    fresh = f"{site}_fresh"
    empty = connections["default"].settings_dict["NAME"]
    connections.close_all()
    with server.connect("postgres") as admin:
        admin.execute(f"CREATE DATABASE {fresh} TEMPLATE {empty}")
    with server.connect(fresh) as session:
        session.execute("DELETE FROM backups")
    done = server.manage(fresh, "restore", str(file_of(made)))
    assert done.returncode == 0, done.stderr
    assert counted(server, fresh)["public.credit_ledgers"] == made.tables["public.credit_ledgers"]
    # its rows know of the backup that they were in, whose row was not finished when it was taken
    with server.connect(fresh) as session:
        assert session.execute("SELECT name, state FROM backups").fetchall() == [
            (made.name, "done")
        ]


def test_open_sessions_are_ended_at_the_swap_alone(changed, server, site):
    """One idles in a transaction, one comes back at once for ever: neither holds the restore up."""
    stop, met = threading.Event(), []

    def come_again():
        while not stop.is_set():
            try:
                with server.connect(site) as session:
                    while not stop.is_set():
                        session.execute("SELECT count(*) FROM users")
            except psycopg.OperationalError as error:
                met.append(str(error))

    visitors = [threading.Thread(target=come_again) for _ in range(2)]
    with server.connect(site) as idle:
        idle.autocommit = False
        idle.execute("UPDATE users SET name = 'never committed'")
        for visitor in visitors:
            visitor.start()
        try:
            force(site, changed.name)
        finally:
            stop.set()
            for visitor in visitors:
                visitor.join()
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
        idle.close()
    assert met
    assert counted(server, site) == changed.tables


def test_sessions_that_may_not_be_ended_leave_the_old_one(
    made, server, site, settings, plain_owner, monkeypatch
):
    """A superuser's session is not the owner's to end: after a while the restore gives up, and says so."""
    monkeypatch.setattr(recovery, "SWAP_ATTEMPTS", 1)
    settings.BACKUP_DATABASE_URL = plain_owner
    run("restore", made.name)
    own = f"{site}_plain"
    with server.connect(own) as superuser:
        superuser.execute('DELETE FROM "खाता बही" WHERE id > 100')
        with pytest.raises(CommandError, match=r"could not be ended.*The old database stands"):
            force(own, made.name)
        assert superuser.execute("SELECT 1").fetchone() == (1,)
    assert counted(server, own)["public.खाता बही"].rows == 100
    assert databases(server, own) == [own]


@pytest.fixture
def plain_owner(server, site):
    """Give the address of a database, not there yet, for a role that may create it and nothing else."""
    with server.connect("postgres") as admin:
        admin.execute("DROP ROLE IF EXISTS backups_owner")
        admin.execute("CREATE ROLE backups_owner LOGIN CREATEDB")
        yield f"host={server.host} user=backups_owner dbname={site}_plain"
        for name in databases(server, f"{site}_plain"):
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin.execute("DROP ROLE backups_owner")


def test_settings_of_the_database_go_over(changed, server, site):
    with server.connect(site) as session:
        session.execute(f"ALTER DATABASE {site} SET work_mem = '7MB'")
        session.execute(f"ALTER ROLE {server.owner} IN DATABASE {site} SET jit = off")
    force(site, changed.name)
    with server.connect(site) as session:
        assert session.execute("SHOW work_mem").fetchone() == ("7MB",)
        assert session.execute("SHOW jit").fetchone() == ("off",)


def test_what_is_known_by_numbers_of_indexes_is_forgotten(server, site):
    with server.connect(site) as session:
        session.execute(
            "INSERT INTO index_rests SELECT 'orders_pkey'::regclass, now() - interval '20 days', now(), 0, 480"
        )
    force(site, make().name)
    with server.connect(site) as session:
        assert session.execute("SELECT count(*) FROM index_rests").fetchone() == (0,)


def test_an_older_one_says_what_migrate_will_do(server, site):
    older = server.manage(site, "migrate", "monitoring", "0016", "-v0")
    assert older.returncode == 0, older.stderr
    made = make()
    assert made.migrations["monitoring"] == "0016_alert_rules"
    said = force(site, made.name)
    names = [name for app, name in MigrationLoader(None).disk_migrations if app == "monitoring"]
    missing = sum(name > "0017" for name in names)
    assert (
        f"{missing} migrations are to be applied, from monitoring.0017_backups on: manage.py migrate"
        in said
    )
    assert server.manage(site, "migrate", "-v0").returncode == 0
    assert counted(server, site)["public.backups"].rows == 0


def test_one_of_a_newer_release_is_refused(server, site):
    with server.connect(site) as session:
        session.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('monitoring', '9999_future', now())"
        )
    made = make()
    with pytest.raises(CommandError, match=r"newer Khaacho .* knows monitoring\.9999_future"):
        force(site, made.name)
    assert databases(server, site) == [site]


def test_grants_to_a_role_that_is_gone_are_told(server, site):
    with server.connect(site) as session:
        session.execute("DROP ROLE IF EXISTS backups_guest")
        session.execute("CREATE ROLE backups_guest")
        session.execute("GRANT SELECT ON orders TO backups_guest")
        try:
            made = make()
        finally:
            session.execute("DROP OWNED BY backups_guest")
            session.execute("DROP ROLE backups_guest")
    said = force(site, made.name)
    assert "Some grants could not be given: " in said
    assert 'role "backups_guest" does not exist' in said
    assert counted(server, site) == made.tables


def test_an_owner_who_is_not_superuser_restores(server, site, settings, made, plain_owner):
    settings.BACKUP_DATABASE_URL = plain_owner
    with server.connect("postgres") as admin:
        admin.execute("ALTER ROLE backups_owner NOCREATEDB")
        with pytest.raises(CommandError, match='ALTER ROLE "backups_owner" CREATEDB;'):
            run("restore", made.name)
        admin.execute("ALTER ROLE backups_owner CREATEDB")
    said = run("restore", made.name)
    with psycopg.connect(plain_owner) as session:
        assert contents.count(session) == made.tables
        assert session.execute("SELECT count(*) FROM monitor.query_stats").fetchone() == (0,)
    assert "Extension left out, as this server lacks it: pg_stat_statements" in said
    assert "No rule of the trade is violated in it." in run("verify_backup")


def test_a_file_that_is_no_dump(changed, server, site):
    """Its checksum is right, but pg_restore cannot read it: nothing is left beside."""
    path = file_of(changed)
    path.write_bytes(b"not zstd at all")
    size = path.stat().st_size
    beside = shelf.manifest_path(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    text = beside.read_text().replace(changed.sha256, digest)
    beside.write_text(text.replace(f'"size": {changed.size}', f'"size": {size}'))
    assert manifests.read(beside).size == size
    with pytest.raises(CommandError, match="cannot be read"):
        force(site, changed.name)
    stands_untouched(server, site)


def test_a_copy_elsewhere_with_a_name_that_is_not_ascii(changed, server, site, tmp_path):
    elsewhere = tmp_path / "जगेडा प्रति"
    shutil.copytree(directory(), elsewhere)
    said = StringIO()
    path = elsewhere / changed.file
    call_command("restore", str(path), "--force", "--yes", site, stdout=said)
    assert counted(server, site) == changed.tables
    assert len(names()) == 2


def test_extensions_that_a_server_lacks_are_known():
    line = b"2; 3079 16390 EXTENSION - pg_stat_statements \n"
    comment = b"4321; 0 0 COMMENT - EXTENSION pg_stat_statements \n"
    assert [restoring.EXTENSION.match(each)[1] for each in (line, comment)] == [
        b"pg_stat_statements",
        b"pg_stat_statements",
    ]
