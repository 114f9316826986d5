"""A second place for backups: a bucket of any S3-compatible storage, by boto3, which is imported only then.

A file is sent in parts as it is read, then read back and hashed: what the storage gives is what counts. The
manifest goes last, so that what has one is whole there too.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings

from monitoring.backups import manifest as manifests
from monitoring.backups import retention, shelf
from monitoring.backups.faults import BackupFailed, Unreadable
from monitoring.backups.manifest import Manifest
from monitoring.backups.retention import Candidate

PART = 16 * 2**20
CHUNK = 1 << 20


def configured() -> bool:
    return bool(settings.BACKUP_S3_BUCKET)


class Hashed(Protocol):
    """The manifest of a file that is sent."""

    @property
    def sha256(self) -> str: ...


class Bucket:
    """The bucket of the settings, beneath BACKUP_S3_PREFIX."""

    def __init__(self) -> None:
        try:
            import boto3  # noqa: PLC0415 - only who has a bucket needs it
            from boto3.exceptions import Boto3Error  # noqa: PLC0415
            from botocore.config import Config  # noqa: PLC0415
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        except ImportError:
            raise BackupFailed(
                "BACKUP_S3_BUCKET is set and boto3 is missing: pip install boto3"
            ) from None
        self.faults = (BotoCoreError, ClientError, Boto3Error)
        self.name = settings.BACKUP_S3_BUCKET
        self.prefix = settings.BACKUP_S3_PREFIX
        self.client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=settings.BACKUP_S3_ENDPOINT or None,
            region_name=settings.BACKUP_S3_REGION or None,
            aws_access_key_id=settings.BACKUP_S3_ACCESS_KEY_ID or None,
            aws_secret_access_key=settings.BACKUP_S3_SECRET_ACCESS_KEY or None,
            config=Config(
                connect_timeout=10,
                read_timeout=60,
                retries={"max_attempts": 3, "mode": "standard"},
                # of storages that are not Amazon's some refuse checksums they do not know
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def upload(self, path: Path, manifest: Hashed) -> None:
        """Send a backup or an archive, read it back, then send its manifest. Raises BackupFailed; it stands here all the same."""
        from boto3.s3.transfer import TransferConfig  # noqa: PLC0415

        key = self.prefix + path.name
        transfer = TransferConfig(
            multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=2
        )
        try:
            with path.open("rb") as file:
                self.client.upload_fileobj(file, self.name, key, Config=transfer)
            if self._sha256(key) != manifest.sha256:
                self.client.delete_object(Bucket=self.name, Key=key)
                raise BackupFailed(
                    f"What {self.name} gives back of {path.name} is not what was sent: it was deleted there."
                )
            self.send_manifest(path)
        except self.faults as error:
            raise self._in_words(error) from error

    def send_manifest(self, path: Path) -> None:
        """Send the manifest of a file again: a drill has signed it."""
        beside = shelf.manifest_path(path)
        try:
            self.client.put_object(
                Bucket=self.name, Key=self.prefix + beside.name, Body=beside.read_bytes()
            )
        except self.faults as error:
            raise self._in_words(error) from error

    def listing(self) -> list[Manifest]:
        """Return the manifests in the bucket, the newest first; damaged ones are not among them."""
        found = []
        try:
            for key in self._keys():
                if key.endswith(".json"):
                    body = self.client.get_object(Bucket=self.name, Key=key)["Body"]
                    try:
                        found.append(manifests.parse(body.read(manifests.MAX_BYTES + 1), key))
                    except Unreadable:
                        continue
        except self.faults as error:
            raise self._in_words(error) from error
        return sorted(found, key=lambda each: each.name, reverse=True)

    def fetch(self, name: str, directory: Path, progress: Callable[[int], None]) -> Path:
        """Bring a backup into a directory, checked, its manifest last. Raises BackupFailed, Unreadable."""
        manifest = next((each for each in self.listing() if each.name == name), None)
        if manifest is None:
            raise Unreadable(f"There is no backup {name} in {self.name}.")
        target = directory / manifest.file
        draft = directory / f".{manifest.file}.partial"
        try:
            body = self.client.get_object(Bucket=self.name, Key=self.prefix + manifest.file)["Body"]
            digest, count = hashlib.sha256(), 0
            with draft.open("wb") as file:
                for chunk in body.iter_chunks(CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    count += len(chunk)
                    progress(100 * count // max(1, manifest.size))
            if digest.hexdigest() != manifest.sha256:
                raise Unreadable(f"{manifest.file} is altered or truncated in {self.name}.")
            draft.rename(target)
            manifests.write(manifest, shelf.manifest_path(target))
        except self.faults as error:
            raise self._in_words(error) from error
        finally:
            draft.unlink(missing_ok=True)
        return target

    def forget(self, *, days: int, now: datetime) -> list[str]:
        """Remove what is outdated, by the same rule as here, and parts that a killed upload left."""
        found = [Candidate(each.name, each.verified_at is not None) for each in self.listing()]
        names = retention.outdated(found, days=days, now=now)
        try:
            for name in names:
                ours = [key for key in self._keys(name) if shelf.FILE.fullmatch(self._base(key))]
                for key in sorted(ours, key=lambda each: not each.endswith(".json")):
                    self.client.delete_object(Bucket=self.name, Key=key)
            self._abort_left_over()
        except self.faults as error:
            raise self._in_words(error) from error
        return names

    def _base(self, key: str) -> str:
        return key[len(self.prefix) :]

    def _keys(self, beginning: str = "khaacho_backup_") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=self.prefix + beginning
        )
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def _abort_left_over(self) -> None:
        answer = self.client.list_multipart_uploads(Bucket=self.name, Prefix=self.prefix)
        for each in answer.get("Uploads", ()):
            if shelf.FILE.fullmatch(self._base(each["Key"])):
                self.client.abort_multipart_upload(
                    Bucket=self.name, Key=each["Key"], UploadId=each["UploadId"]
                )

    def _sha256(self, key: str) -> str:
        digest = hashlib.sha256()
        for chunk in self.client.get_object(Bucket=self.name, Key=key)["Body"].iter_chunks(CHUNK):
            digest.update(chunk)
        return digest.hexdigest()

    def _in_words(self, error: Exception) -> BackupFailed:
        """Say what the storage said, without the request: its headers carry a signature."""
        answer = getattr(error, "response", {}).get("Error", {})
        said = (
            f"{answer.get('Code', '')} {answer.get('Message', '')}".strip() or type(error).__name__
        )
        return BackupFailed(f"The storage of {self.name} did not take part: {said}.")
