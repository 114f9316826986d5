"""Users, and the records that every layer writes in its own transaction."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now, Upper

from khaacho.enums import OPEN_JOB_STATES, STAFF_ROLES, JobState, Queue, Role, Severity


class Sequence(models.Func):
    """A number for people from a PostgreSQL sequence: prefix, optional year in Kathmandu, zero-padded.

    It grows longer than `width` when it must: lpad would cut it, and two would be alike.
    """

    output_field = models.TextField()

    def __init__(self, sequence: str, prefix: str, *, width: int, year: bool = False) -> None:
        self.sequence, self.prefix, self.width, self.year = sequence, prefix, width, year
        super().__init__()

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        options = {"width": self.width, "year": self.year}
        return "khaacho.models.Sequence", (self.sequence, self.prefix), options

    def as_sql(self, *_: Any, **__: Any) -> tuple[str, list[Any]]:  # type: ignore[override] # it takes no arguments of its own
        year = (
            "to_char(now() AT TIME ZONE 'Asia/Kathmandu', 'YYYY') || '-' || " if self.year else ""
        )
        form = "FM" + "9" * (18 - self.width) + "0" * self.width
        number = f"to_char(nextval('{self.sequence}'), '{form}')"
        return f"('{self.prefix}-' || {year}{number})", []


class UserManager(BaseUserManager["User"]):
    def create_user(self, phone: str, password: str | None = None, **fields: Any) -> "User":
        """Return a new user with a hashed password; `phone` is E.164."""
        user = self.model(phone=phone, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, phone: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(
            phone, password, **{**fields, "role": Role.ADMIN, "is_superuser": True}
        )


class User(AbstractBaseUser, PermissionsMixin):
    """A person. The phone (E.164) is the login; a shop or wholesaler hangs below its user."""

    phone = models.CharField(max_length=16, unique=True)
    name = models.CharField(max_length=120)
    email = models.EmailField(blank=True)
    role = models.CharField(max_length=10, choices=Role)
    language = models.CharField(max_length=2, default="ne")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "phone"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        db_table = "users"
        constraints = [
            models.CheckConstraint(
                condition=Q(phone__regex=r"^\+[1-9][0-9]{6,14}$"), name="user_phone_e164"
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="user_role_known"),
            models.CheckConstraint(
                condition=Q(is_superuser=False) | Q(role=Role.ADMIN), name="user_superuser_is_admin"
            ),
        ]
        indexes = [
            # staff search by person: UPPER, because that is what icontains compiles to
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="users_name_trgm_idx"),
            # staff list filters
            models.Index(fields=["role", "-id"], name="user_role_idx"),
            models.Index(fields=["-id"], condition=Q(is_active=False), name="user_inactive_idx"),
            models.Index(fields=["-id"], condition=Q(is_superuser=True), name="user_super_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.phone})"

    @property
    def is_staff(self) -> bool:
        """Whether the admin site lets this user in."""
        return self.role in STAFF_ROLES and self.deleted_at is None


class AuditLog(models.Model):
    """What was changed by whom: row edits by triggers (also from psql), business acts by services.

    `user` is NULL for the system and for SQL outside the application. Append-only.
    """

    user = models.ForeignKey(User, models.PROTECT, null=True, related_name="+", db_index=False)
    action = models.CharField(max_length=60)
    entity_type = models.CharField(max_length=40)
    entity_id = models.BigIntegerField()
    old_values = models.JSONField(default=dict)
    new_values = models.JSONField(default=dict)
    reason = models.CharField(max_length=500, blank=True)
    database_user = models.CharField(
        max_length=63,
        db_default=models.Func(template="current_user", output_field=models.CharField()),
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "audit_logs"
        indexes = [
            # who did what
            models.Index(fields=["user", "-created_at"], name="audit_user_created_idx"),
            # history of one object
            models.Index(
                fields=["entity_type", "entity_id", "-created_at"], name="audit_entity_created_idx"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.entity_type}:{self.entity_id}"


class JobQuerySet(models.QuerySet["Job"]):
    def open(self) -> "JobQuerySet":
        return self.filter(state__in=OPEN_JOB_STATES)

    def dead(self) -> "JobQuerySet":
        return self.filter(state=JobState.DEAD)


class Job(models.Model):
    """A piece of work that PostgreSQL remembers and Celery does; inserted with the fact it follows.

    `fence` grows with every claim: a worker whose lease was taken over cannot finish with an old one.
    `coalesced` counts the requests that were folded into this job, `stalls` the leases that expired;
    `failed_at` is when its last attempt failed. `request_id` and `user_id` are of the request that it
    follows from, through however many jobs.
    """

    queue = models.CharField(max_length=20, choices=Queue)
    kind = models.CharField(max_length=80)
    args = models.JSONField(default=dict)
    reference = models.CharField(max_length=80, blank=True)
    dedupe_key = models.CharField(max_length=120, null=True, blank=True)  # noqa: DJ001 - NULL does not collide
    slot = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=9, choices=JobState, db_default=JobState.QUEUED)
    priority = models.SmallIntegerField(db_default=0)
    attempts = models.SmallIntegerField(db_default=0)
    max_attempts = models.SmallIntegerField(db_default=3)
    fence = models.BigIntegerField(db_default=0)
    rerun = models.BooleanField(db_default=False)
    coalesced = models.IntegerField(db_default=0)
    stalls = models.SmallIntegerField(db_default=0)
    run_after = models.DateTimeField(db_default=Now())
    published_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    progress = models.SmallIntegerField(null=True)
    last_error = models.TextField(blank=True, db_default="")
    request_id = models.CharField(max_length=64, blank=True, db_default="")
    user_id = models.BigIntegerField(null=True)  # no foreign key: a fact, and no lock
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        db_table = "jobs"
        constraints = [
            # de-duplication: one open job per key, a finished job never blocks the next
            models.UniqueConstraint(
                fields=["dedupe_key"],
                condition=Q(state__in=OPEN_JOB_STATES),
                name="job_open_dedupe_key",
            ),
            # a schedule's slot runs once, however many beats tick
            models.UniqueConstraint(
                fields=["kind", "slot"], condition=Q(slot__isnull=False), name="job_slot_once"
            ),
            models.CheckConstraint(condition=Q(state__in=JobState.values), name="job_state_known"),
            models.CheckConstraint(
                condition=Q(progress__isnull=True) | Q(progress__range=(0, 100)),
                name="job_progress_percent",
            ),
            models.CheckConstraint(
                condition=~Q(state=JobState.RUNNING) | Q(lease_until__isnull=False),
                name="job_running_has_lease",
            ),
        ]
        indexes = [
            # the sweep: work that is due
            models.Index(
                fields=["run_after"], condition=Q(state=JobState.QUEUED), name="job_queued_idx"
            ),
            # direct mode: the most urgent job that is due, whatever waits behind it
            models.Index(
                fields=["-priority", "run_after", "id"],
                condition=Q(state=JobState.QUEUED),
                name="job_next_idx",
            ),
            # the sweep: workers that died
            models.Index(
                fields=["lease_until"], condition=Q(state=JobState.RUNNING), name="job_leased_idx"
            ),
            # the dead of a queue, the list's filters
            models.Index(fields=["queue", "state", "-finished_at"], name="job_queue_state_idx"),
            # the figures of a queue: what finished since it was counted by the minute, without its rows;
            # the purge
            models.Index(
                fields=["finished_at"],
                include=["queue", "state", "coalesced", "stalls"],
                condition=Q(finished_at__isnull=False),
                name="job_finished_idx",
            ),
            # the dead-letter list
            models.Index(fields=["-id"], condition=Q(state=JobState.DEAD), name="job_dead_idx"),
            # staff list filters
            models.Index(
                fields=["-id"], condition=Q(state=JobState.CANCELLED), name="job_cancelled_idx"
            ),
            models.Index(fields=["kind", "-id"], name="job_kind_idx"),
            # what was done about one object
            models.Index(fields=["reference", "-id"], name="job_reference_idx"),
            # the figures of a queue: attempts that failed in the last hour
            models.Index(
                fields=["-failed_at"], condition=Q(failed_at__isnull=False), name="job_failed_idx"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}".strip()


class QueueSetting(models.Model):
    """What an operator decided about a queue; a queue without a row runs. Work of a paused one waits."""

    queue = models.CharField(max_length=20, choices=Queue, primary_key=True)
    is_paused = models.BooleanField(db_default=False, default=False)
    reason = models.CharField(max_length=300, blank=True, db_default="", default="")
    changed_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "queue_settings"
        constraints = [
            models.CheckConstraint(
                condition=Q(is_paused=False) | ~Q(reason=""), name="queue_pause_has_reason"
            ),
        ]

    def __str__(self) -> str:
        return self.get_queue_display()


class WorkerNode(models.Model):
    """A process that does jobs, and when it was last seen. `concurrency`: jobs at once."""

    name = models.CharField(max_length=120, unique=True)
    queues = models.JSONField(default=list)
    concurrency = models.SmallIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "worker_nodes"

    def __str__(self) -> str:
        return self.name


class IdempotencyKey(models.Model):
    """One answer per (caller, key), written in the transaction of the effect; kept 30 days."""

    user = models.ForeignKey(User, models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=128)
    fingerprint = models.CharField(max_length=64)
    status = models.SmallIntegerField(null=True)
    response = models.TextField(blank=True, db_default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "idempotency_keys"
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_per_caller"),
        ]
        indexes = [
            # the purge
            models.Index(fields=["created_at"], name="idempotency_created_idx"),
        ]

    def __str__(self) -> str:
        return self.key


class RefreshToken(models.Model):
    """One rotation of a sign-in. Presenting a used token revokes its whole family."""

    family = models.UUIDField()
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "refresh_tokens"
        indexes = [
            # revoking a family
            models.Index(fields=["family"], name="refresh_token_family_idx"),
            # the purge
            models.Index(fields=["expires_at"], name="refresh_token_expires_idx"),
        ]


class SignInFailure(models.Model):
    """A wrong password or unknown phone, counted per phone and per address to slow guessing down."""

    phone = models.CharField(max_length=64)
    address = models.GenericIPAddressField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "sign_in_failures"
        indexes = [
            models.Index(fields=["phone", "-created_at"], name="sign_in_failure_phone_idx"),
            models.Index(fields=["address", "-created_at"], name="sign_in_failure_address_idx"),
            # the purge
            models.Index(fields=["created_at"], name="sign_in_failure_created_idx"),
        ]


class Alert(models.Model):
    """Something a person must look at. One open alert per (code, entity)."""

    code = models.CharField(max_length=60)
    severity = models.CharField(max_length=8, choices=Severity)
    entity_type = models.CharField(max_length=40, blank=True)
    entity_id = models.BigIntegerField(default=0)
    message = models.CharField(max_length=500)
    details = models.JSONField(default=dict)
    occurrences = models.IntegerField(default=1)
    created_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())
    acknowledged_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+"
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "alerts"
        constraints = [
            models.UniqueConstraint(
                fields=["code", "entity_type", "entity_id"],
                condition=Q(resolved_at__isnull=True),
                name="alert_open_once",
            ),
            models.CheckConstraint(condition=Q(occurrences__gte=1), name="alert_occurrences"),
        ]
        indexes = [
            # the alerts page, newest first
            models.Index(fields=["-created_at"], name="alert_created_idx"),
            models.Index(fields=["severity", "-created_at"], name="alert_severity_idx"),
            models.Index(
                fields=["-created_at"],
                condition=Q(resolved_at__isnull=False),
                name="alert_closed_idx",
            ),
            # alerts about one object
            models.Index(fields=["entity_type", "entity_id"], name="alert_entity_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
