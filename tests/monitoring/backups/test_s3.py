"""A storage that speaks S3, over HTTP: what goes there is whole, comes back, and is forgotten by the same rule."""

import hashlib
import socket
import subprocess
import sys
from datetime import timedelta

import boto3
import pytest
from django.core.management import CommandError
from django.utils import timezone

from khaacho import months
from khaacho.months import Part
from monitoring.archiving import leaving
from monitoring.backups import nightly, s3, shelf
from monitoring.backups.encryption import keys
from monitoring.backups.faults import BackupFailed
from monitoring.models import Backup
from tests.monitoring.backups.making import directory, file_of, make, run
from tests.processes import environment, free_port, process, wait_for

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.processes,
    pytest.mark.patient,
]


@pytest.fixture(scope="module")
def endpoint(django_db_setup, django_db_blocker):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        django_db_blocker.unblock(),
        process("-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
    ):
        wait_for(lambda: answers(port), seconds=60)
        yield url


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def bucket(endpoint, settings, site):
    """An empty bucket of the test's own, which the settings name."""
    settings.BACKUP_S3_ENDPOINT = endpoint
    settings.BACKUP_S3_REGION = "us-east-1"
    settings.BACKUP_S3_ACCESS_KEY_ID = settings.BACKUP_S3_SECRET_ACCESS_KEY = "testing"
    settings.BACKUP_S3_PREFIX = "खाचो/"
    settings.BACKUP_S3_BUCKET = f"shop-{timezone.now():%H%M%S%f}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_bucket(Bucket=settings.BACKUP_S3_BUCKET)
    return client


def stored(client, settings) -> list[str]:
    answer = client.list_objects_v2(Bucket=settings.BACKUP_S3_BUCKET)
    return sorted(each["Key"] for each in answer.get("Contents", ()))


def test_each_is_sent_and_comes_back(bucket, site, server, settings, tmp_path):
    said = run("backup")
    [kept] = shelf.listing(directory())
    assert f"sending {kept.path.name} to {settings.BACKUP_S3_BUCKET}" in said
    assert stored(bucket, settings) == [f"खाचो/{kept.name}.dump.zst", f"खाचो/{kept.name}.json"]
    row = Backup.objects.get()
    assert (row.uploaded_at is not None, row.upload_error) == (True, "")
    assert kept.name in run("fetch_backup")
    elsewhere = tmp_path / "another machine"
    assert "is whole" in run("fetch_backup", kept.name, "--dir", str(elsewhere))
    assert (elsewhere / kept.path.name).read_bytes() == kept.path.read_bytes()
    run("restore", str(elsewhere / kept.path.name), "--force", "--yes", site)
    with pytest.raises(CommandError, match="There is no backup khaacho_backup_x"):
        run("fetch_backup", "khaacho_backup_x")


def old_month(shop) -> str:
    """Let the shop have a part of its audit log that ended three months ago, with a row."""
    first, *_ = months.sorted_parts(shop.execute(months.PARTS, ["public.audit_logs"]).fetchall())
    begin = months.after(months.begin_of(timezone.now()), -3)
    shop.execute(f"ALTER TABLE audit_logs DETACH PARTITION months.{first.name}")
    for statement in (
        *months.creating("audit_logs", "audit_logs_until_then"),
        months.attaching("audit_logs", Part("audit_logs_until_then", None, begin)),
        months.attaching("audit_logs", Part(first.name, begin, first.until)),
    ):
        shop.execute(statement)
    shop.execute(
        "INSERT INTO audit_logs (action, entity_type, entity_id, old_values, new_values, reason, created_at)"
        " VALUES ('order.paid', 'order', 1, '{}', '{}', '', '2020-01-01')"
    )
    return "audit_logs_until_then"


def test_a_month_of_the_audit_log_is_dropped_only_when_the_bucket_has_it(bucket, shop, settings):
    part, there = old_month(shop), settings.BACKUP_S3_BUCKET
    count = "SELECT count(*) FROM months.audit_logs_until_then"
    settings.BACKUP_S3_BUCKET = "nobodys"
    with pytest.raises(BackupFailed, match="nobodys"):
        leaving.archive(directory(), keys(), kept_months=2)
    assert shop.execute(count).fetchone() == (1,)
    settings.BACKUP_S3_BUCKET = there
    [archived] = leaving.archive(directory(), keys(), kept_months=2)
    file = f"खाचो/khaacho_{part}.csv.zst"
    assert stored(bucket, settings) == [file, f"{file}.json"]
    body = bucket.get_object(Bucket=there, Key=file)["Body"].read()
    assert hashlib.sha256(body).hexdigest() == archived.sha256
    assert shop.execute("SELECT to_regclass('months.audit_logs_until_then')").fetchone() == (None,)
    assert s3.Bucket().forget(days=1, now=timezone.now() + timedelta(days=999)) == []
    assert len(stored(bucket, settings)) == 2


def test_a_big_one_is_sent_in_parts(bucket, site, server, settings):
    with server.connect(site) as session:
        session.execute(
            "CREATE TABLE heavy AS SELECT n, sha512(n::text::bytea) s"
            " FROM generate_series(1, 350000) n"
        )
    run("backup")
    [kept] = shelf.listing(directory())
    assert kept.manifest.size > s3.PART
    key = f"खाचो/{kept.path.name}"
    head = bucket.head_object(Bucket=settings.BACKUP_S3_BUCKET, Key=key)
    assert head["ContentLength"] == kept.manifest.size
    assert head["ETag"].strip('"').endswith("-2")  # of two parts


def test_what_is_altered_there_is_refused(bucket, site, settings, tmp_path):
    run("backup")
    [kept] = shelf.listing(directory())
    key = f"खाचो/{kept.path.name}"
    bucket.put_object(Bucket=settings.BACKUP_S3_BUCKET, Key=key, Body=b"x" * kept.manifest.size)
    with pytest.raises(CommandError, match="is altered or truncated in"):
        run("fetch_backup", kept.name, "--dir", str(tmp_path / "new"))
    assert [p.name for p in (tmp_path / "new").iterdir()] == [shelf.LOCK_FILE]


def test_a_storage_that_is_away_leaves_the_backup_here(bucket, site, settings):
    settings.BACKUP_S3_ENDPOINT = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(CommandError, match="The backup stands here, but was not sent"):
        run("backup")
    [kept] = shelf.listing(directory())
    row = Backup.objects.get(name=kept.name)
    assert (row.state, row.uploaded_at) == ("done", None)
    assert "did not take part" in row.upload_error
    settings.BACKUP_S3_ENDPOINT = bucket.meta.endpoint_url
    settings.BACKUP_S3_BUCKET = "nobody-made-it"
    with pytest.raises(CommandError, match="NoSuchBucket"):
        run("fetch_backup")


def test_the_last_verified_stays_there_too(bucket, site, settings):
    """The drill's word goes to the bucket, and its retention heeds it."""
    run("backup")
    proof = nightly.prove(directory(), keys())
    [kept] = shelf.listing(directory())
    later = timezone.now() + timedelta(days=30)
    assert s3.Bucket().forget(days=7, now=later) == []
    newer = make()
    s3.Bucket().upload(file_of(newer), newer)
    assert s3.Bucket().forget(days=7, now=later) == []
    assert proof.name == kept.name
    beside = shelf.manifest_path(kept.path)
    text = beside.read_text()
    start = text.index('"verified_at": ')
    beside.write_text(text[:start] + '"verified_at": null' + text[text.index(",", start) :])
    s3.Bucket().send_manifest(kept.path)
    assert s3.Bucket().forget(days=7, now=later) == [kept.name]
    assert stored(bucket, settings) == [f"खाचो/{newer.name}.dump.zst", f"खाचो/{newer.name}.json"]


def test_parts_of_a_killed_upload_are_removed(bucket, site, settings):
    name = settings.BACKUP_S3_BUCKET
    for key in ("खाचो/khaacho_backup_2026-01-01_02-00-00.dump.zst", "खाचो/mine"):
        bucket.create_multipart_upload(Bucket=name, Key=key)
    run("backup")
    left = bucket.list_multipart_uploads(Bucket=name)["Uploads"]
    assert [each["Key"] for each in left] == ["खाचो/mine"]


def test_nobody_loads_the_library_who_has_no_bucket():
    code = (
        "import django, sys; django.setup(); from django.core.management import load_command_class;"
        "load_command_class('monitoring', 'backup'); print('boto3' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(DJANGO_SETTINGS_MODULE="khaacho.settings"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("False", 0)
