"""Users, and the records that every layer writes: audit, jobs, alerts, keys, tokens."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from khaacho import alert_desk, job_desk, jobs, tenants, user_desk
from khaacho.actors import Actor
from khaacho.adminsite import (
    KhaachoModelAdmin,
    Panel,
    Search,
    Verb,
    by_phone,
    by_text,
    computed,
    exactly,
    pretty,
    scrubbed,
    sections,
)
from khaacho.adminsite.filters import unset_first
from khaacho.adminsite.forms import PhoneField, ReasonForm
from khaacho.adminsite.side_bar import Badge, add_badge
from khaacho.adminsite.sign_in import PhoneSignIn
from khaacho.enums import STAFF_ROLES, JobState, Queue, Role
from khaacho.models import (
    Alert,
    AuditLog,
    IdempotencyKey,
    Job,
    RefreshToken,
    SignInFailure,
    User,
    WorkerNode,
)

admin.site.site_header = "Khaacho"
admin.site.site_title = "Khaacho"
admin.site.index_title = "Khaacho"
admin.site.site_url = None
admin.site.login_form = PhoneSignIn
admin.site.enable_nav_sidebar = False  # ours is admin/side_bar.html

add_badge(Badge(entry="khaacho.alert", rows="alerts WHERE resolved_at IS NULL", tone="bad"))


# Users


class NewPasswordForm(forms.Form):
    password = forms.CharField(
        label="New password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class StaffForm(forms.Form):
    name = forms.CharField(max_length=120)
    phone = PhoneField()
    role = forms.ChoiceField(
        choices=[(role.value, role.label) for role in STAFF_ROLES], initial=Role.OPERATOR
    )
    groups = forms.ModelMultipleChoiceField(queryset=Group.objects.all(), required=False)
    password = forms.CharField(
        strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )


def _add_staff(_: None, fields: dict[str, Any], actor: Actor) -> User:
    return user_desk.add_staff(**fields | {"role": Role(fields["role"])}, actor=actor)


def _not_active(user: User) -> str:
    return "" if user.is_active else "it is not active"


def _is_active(user: User) -> str:
    return "it is active" if user.is_active else ""


USER_VERBS = (
    Verb(
        name="reset_password",
        label="Reset password",
        permission="khaacho.reset_password",
        run=lambda user, fields, actor: user_desk.reset_password(
            user_id=user.pk, password=fields["password"], actor=actor
        ),
        effect="The old password stops working and every session of this user ends.",
        done="{record} has a new password.",
        form=NewPasswordForm,
    ),
    Verb(
        name="deactivate_user",
        label="Deactivate",
        permission="khaacho.deactivate_user",
        run=lambda user, fields, actor: user_desk.deactivate(
            user_id=user.pk, reason=fields["reason"], actor=actor
        ),
        effect="The user is shut out at once; what they did stays on record.",
        done="{record} is deactivated.",
        form=ReasonForm,
        hindrance=_not_active,
        is_grave=True,
    ),
    Verb(
        name="activate_user",
        label="Activate",
        permission="khaacho.activate_user",
        run=lambda user, fields, actor: user_desk.activate(user_id=user.pk, actor=actor),
        effect="The user can sign in again with the old password.",
        done="{record} is active.",
        hindrance=_is_active,
    ),
)


@admin.register(User)
class UserAdmin(KhaachoModelAdmin):
    """Rights are given by groups, and only by administrators; a password is never shown or typed here."""

    entity_type = "user"
    list_display = ("name", "phone", "role", "is_active", "last_login", "created_at")
    list_filter = ("role", "is_active", "is_superuser")
    searches = (by_phone("phone"), by_text("name", "name"))
    fieldsets = sections(
        (None, ("phone", "name", "email", "language")),
        ("Rights", ("role", "is_active", "is_superuser", "groups")),
        ("Dates", ("last_login", "created_at", "deleted_at")),
    )
    editable = ("name", "email", "language", "groups")
    filter_horizontal = ("groups",)
    verbs = USER_VERBS
    list_verbs = (
        Verb(
            name="add_staff",
            label="Add staff member",
            permission="khaacho.add_staff",
            run=_add_staff,
            effect="They can sign in to this site at once and do what their groups may do.",
            done="{record} can sign in.",
            form=StaffForm,
        ),
    )
    panels = (
        Panel(
            title="What they did",
            model=AuditLog,
            rows=lambda user: AuditLog.objects.filter(user=user).order_by("-created_at"),
            columns=("created_at", "action", "entity_type", "entity_id", "reason"),
            more="user__id__exact",
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fixed = super().get_readonly_fields(request, obj)
        return fixed if cast("User", request.user).is_superuser else [*fixed, "groups"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody but an administrator touches an administrator."""
        if obj is not None and obj.role == Role.ADMIN:
            return bool(super().has_change_permission(request, obj)) and (
                cast("User", request.user).role == Role.ADMIN
            )
        return super().has_change_permission(request, obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        if "groups" in form.changed_data:
            user_desk.set_groups(
                user=form.instance,
                groups=form.cleaned_data["groups"],
                actor=tenants.actor_of(cast("User", request.user)),
            )


@admin.register(RefreshToken)
class RefreshTokenAdmin(KhaachoModelAdmin):
    list_display = ("id", "user", "created_at", "expires_at", "used_at", "revoked_at")
    list_select_related = ("user",)
    fieldsets = sections(
        (None, ("user", "family", "created_at", "expires_at", "used_at", "revoked_at")),
    )
    searches = (by_phone("user__phone"),)


@admin.register(SignInFailure)
class SignInFailureAdmin(KhaachoModelAdmin):
    list_display = ("created_at", "phone", "address")
    fieldsets = sections(
        (None, ("created_at", "phone", "address")),
    )
    searches = (by_phone("phone", whole=True), exactly("address", "address", r"[\da-fA-F.:]+"))


# Records of the machinery


def _of_entity(term: str) -> Q:
    entity_type, _, entity_id = term.partition(":")
    return Q(entity_type=entity_type, entity_id=int(entity_id))


BY_ENTITY = Search("object (order:42)", r"[a-z_]+:\d{1,18}", _of_entity)


@computed("what")
def _what(entry: AuditLog) -> str:
    return f"{entry.entity_type}:{entry.entity_id}"


@computed("who")
def _who(entry: AuditLog) -> str:
    return entry.user.name if entry.user else f"system, or SQL as {entry.database_user}"


@admin.register(AuditLog)
class AuditLogAdmin(KhaachoModelAdmin):
    list_display = ("created_at", "action", _what, _who, "reason")
    list_select_related = ("user",)
    deferred = ("old_values", "new_values")
    ordering_when = {"user__id__exact": ("-created_at",), "entity_type": ("-created_at",)}
    searches = (BY_ENTITY,)
    fieldsets = sections(
        (None, ("created_at", "action", _what, "user", "database_user", "reason")),
        ("Values", (pretty("old_values", "before"), pretty("new_values", "after"))),
    )


@computed("last error")
def _traceback(job: Job) -> str:
    return format_html("<pre>{}</pre>", job.last_error) if job.last_error else ""


@computed("error")
def _error(job: Job) -> str:
    return job.last_error.strip().rpartition("\n")[2][:120]


def _cannot_retry(job: Job) -> str:
    return "" if job.state in (JobState.DEAD, JobState.QUEUED) else f"it is {job.state}"


def _cannot_cancel(job: Job) -> str:
    return f"it is {job.state}" if job.state in (JobState.DONE, JobState.CANCELLED) else ""


class QueueForm(forms.Form):
    queue = forms.ChoiceField(choices=Queue.choices)


class KindFilter(admin.SimpleListFilter):
    """By kind of work: those that the code knows, so that the table is not read for them."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(kind.name for kind in jobs.registered())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Job)
class JobAdmin(KhaachoModelAdmin):
    entity_type = "job"
    overview = ("queue-board", "Queue board")
    list_display = (
        "id",
        "kind",
        "queue",
        "state",
        "reference",
        "attempts",
        "progress",
        "run_after",
        "finished_at",
        _error,
    )
    list_filter = ("queue", "state", KindFilter)
    deferred = ("args",)
    searches = (
        exactly("pk", "id", r"\d{1,18}"),
        exactly("reference", "reference (order:42)", r"[a-z_]+:\d+"),
        exactly("dedupe_key", "key", state__in=(JobState.QUEUED, JobState.RUNNING)),
    )
    fieldsets = sections(
        (None, ("kind", "queue", "state", "reference", "progress", "priority")),
        (
            "Attempts",
            (
                "attempts",
                "max_attempts",
                "coalesced",
                "stalls",
                "run_after",
                "failed_at",
                _traceback,
            ),
        ),
        ("Payload", (pretty("args", mask=scrubbed), "dedupe_key", "slot", "request_id", "user_id")),
        (
            "Times",
            ("created_at", "published_at", "started_at", "lease_until", "finished_at"),
        ),
    )
    verbs = (
        Verb(
            name="retry_job",
            label="Run again",
            permission="khaacho.retry_job",
            run=lambda job, fields, actor: job_desk.retry(job.pk, actor),
            effect="A dead job begins anew with its full number of attempts;"
            " one that waits for its next attempt runs now.",
            done="Job {record} will run within seconds.",
            hindrance=_cannot_retry,
            bulk=True,
        ),
        Verb(
            name="cancel_job",
            label="Cancel",
            permission="khaacho.cancel_job",
            run=lambda job, fields, actor: job_desk.cancel(job.pk, fields["reason"], actor),
            effect="A waiting job never runs and a dead one is dismissed; a running one commits nothing"
            " more. What it did outside the database stays done.",
            done="Job {record} is cancelled.",
            form=ReasonForm,
            hindrance=_cannot_cancel,
            bulk=True,
            is_grave=True,
        ),
    )
    list_verbs = (
        Verb(
            name="requeue",
            label="Requeue dead",
            permission="khaacho.requeue",
            run=lambda _, fields, actor: job_desk.requeue_dead(fields["queue"], actor),
            effect="Every dead job of the queue begins anew with its full number of attempts.",
            done="{record} dead jobs will run within seconds.",
            form=QueueForm,
        ),
    )


@admin.register(WorkerNode)
class WorkerNodeAdmin(KhaachoModelAdmin):
    list_display = ("name", "concurrency", "started_at", "seen_at")
    fieldsets = sections((None, ("name", "queues", "concurrency", "started_at", "seen_at")))


def _resolved(alert: Alert) -> str:
    return "" if alert.resolved_at is None else "it is resolved"


def _acknowledged(alert: Alert) -> str:
    return "it is acknowledged" if alert.acknowledged_at else _resolved(alert)


@computed("about")
def _about(alert: Alert) -> str:
    return f"{alert.entity_type}:{alert.entity_id}" if alert.entity_type else ""


@admin.register(Alert)
class AlertAdmin(KhaachoModelAdmin):
    entity_type = "alert"
    list_display = (
        "created_at",
        "severity",
        "code",
        "message",
        _about,
        "occurrences",
        "last_seen_at",
        "acknowledged_by",
    )
    list_display_links = ("created_at", "message")
    list_select_related = ("acknowledged_by",)
    list_filter = (
        unset_first("resolved_at", "resolution", opened="Open", closed="Resolved"),
        "severity",
    )
    ordering = ("-created_at",)
    sortable_by = ("created_at",)
    deferred = ("details",)
    searches = (BY_ENTITY,)
    fieldsets = sections(
        (None, ("severity", "code", "message", _about, pretty("details"))),
        ("Times", ("occurrences", "created_at", "last_seen_at", "resolved_at")),
        ("Seen", ("acknowledged_by", "acknowledged_at")),
    )
    verbs = (
        Verb(
            name="acknowledge_alert",
            label="Acknowledge",
            permission="khaacho.acknowledge_alert",
            run=lambda alert, fields, actor: alert_desk.acknowledge(alert_id=alert.pk, actor=actor),
            effect="Others see that you have seen it; it stays open.",
            done="Acknowledged: {record}",
            hindrance=_acknowledged,
            bulk=True,
        ),
        Verb(
            name="resolve_alert",
            label="Resolve",
            permission="khaacho.resolve_alert",
            run=lambda alert, fields, actor: alert_desk.resolve(
                alert_id=alert.pk, reason=fields["reason"], actor=actor
            ),
            effect="The alert is closed; the same thing happening again opens another.",
            done="Resolved: {record}",
            form=ReasonForm,
            hindrance=_resolved,
            bulk=True,
        ),
    )


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(KhaachoModelAdmin):
    list_display = ("created_at", "user", "key", "status")
    list_select_related = ("user",)
    deferred = ("response",)
    searches = (by_phone("user__phone"),)
    fieldsets = sections(
        (None, ("created_at", "user", "key", "fingerprint", "status")),
    )
