"""The drill proves that a backup can be restored, or says why not; it leaves nothing beside the site."""

import pytest
from django.core.management import CommandError

from monitoring.backups import drill, encryption
from monitoring.backups import manifest as manifests
from monitoring.backups.shelf import manifest_path
from monitoring.models import Backup
from tests.monitoring.backups.making import databases, directory, file_of, make, run

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_newest_is_proven(site, server):
    first, second = make(), make()
    proof = drill.run(directory(), encryption.keys())
    assert proof.name == second.name != first.name
    assert proof.rows == sum(table.rows for table in second.tables.values())
    assert proof.ledger_sum == second.tables["public.credit_ledgers"].sums["amount"]
    assert proof.violations == 0
    assert 0 < proof.seconds < proof.seconds_per_gigabyte
    assert databases(server, site) == [site]
    row = Backup.objects.get(name=second.name)
    assert (row.drill_result, row.drill_error, row.drill_seconds) == ("passed", "", proof.seconds)
    assert row.verified_at is not None
    assert manifests.read(manifest_path(file_of(second))).verified_at is not None
    assert Backup.objects.get(name=first.name).drill_result == ""


def test_one_that_is_altered_fails_and_is_told(site, server):
    made = make()
    assert "is verified" in run("verify_backup")
    path = file_of(made)
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)
    with pytest.raises(CommandError, match=r"its SHA-256 is not the manifest's"):
        run("verify_backup")
    row = Backup.objects.get()
    assert (row.drill_result, "SHA-256" in row.drill_error) == ("failed", True)
    assert row.verified_at is not None  # once it could be restored
    assert databases(server, site) == [site]


def test_rules_that_the_copy_breaks_are_told(site, server):
    with server.connect(site) as session:
        session.execute("SET session_replication_role = replica")
        session.execute("UPDATE credit_accounts SET balance = balance + 1")
    make()
    with pytest.raises(SystemExit) as ended:
        run("verify_backup")
    assert ended.value.code == 2
    assert Backup.objects.get().drill_result == "passed"


def test_what_a_killed_drill_left_is_dropped(site, server):
    make()
    left = f"{site}_drill_20260101_043000"
    mine = f"{site}_drill_notes"
    with server.connect("postgres") as admin:
        for name in (left, mine):
            admin.execute(f"CREATE DATABASE {name}")
    assert f"dropping {left}" in run("verify_backup")
    assert databases(server, site) == [site, mine]


def test_without_a_backup_there_is_nothing_to_prove(site):
    with pytest.raises(CommandError, match="There is no backup yet"):
        run("verify_backup")
    make()
    with pytest.raises(CommandError, match="There is no backup khaacho_backup_x"):
        run("verify_backup", "khaacho_backup_x")
