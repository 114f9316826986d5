"""What staff may be allowed to do beyond viewing and editing, and the groups that are allowed it.

Each act of the admin has a permission of its own. They are rows of `auth_permission`, made together
with the groups by `manage.py sync_groups`; the groups named here are what this file says after every
run of it, other groups are left alone.
"""

from collections.abc import Iterable, Mapping

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from khaacho.actors import Actor
from khaacho.exceptions import Forbidden
from khaacho.models import User

_Given = Group.permissions.through

# app.model → codename → what it allows. Apps are named as strings only: they lie above this one.
ACTS: Mapping[str, Mapping[str, str]] = {
    "khaacho.user": {
        "add_staff": "Can add a staff member",
        "reset_password": "Can give a user a new password",
        "deactivate_user": "Can deactivate a user",
        "activate_user": "Can activate a user again",
    },
    "khaacho.job": {
        "retry_job": "Can run a dead or waiting job again",
        "cancel_job": "Can cancel a job that waits or runs, and dismiss a dead one",
        "requeue": "Can run all dead jobs of a queue again",
    },
    "khaacho.queuesetting": {
        "pause_queue": "Can pause a queue",
        "resume_queue": "Can resume a queue",
    },
    "khaacho.alert": {
        "acknowledge_alert": "Can acknowledge an alert",
        "resolve_alert": "Can resolve an alert",
    },
    "vendors.vendor": {
        "register_vendor": "Can register a vendor",
        "approve_vendor": "Can approve a vendor",
        "block_vendor": "Can block a vendor",
        "unblock_vendor": "Can unblock a vendor",
    },
    "vendors.vendorproduct": {
        "create_offer": "Can create an offer",
        "change_offer": "Can change an offer's price, stock or availability",
        "withdraw_offer": "Can withdraw an offer",
    },
    "credit.retailer": {
        "register_retailer": "Can register a retailer",
        "approve_retailer": "Can approve a retailer",
        "block_retailer": "Can block a retailer",
        "unblock_retailer": "Can unblock a retailer",
        "change_platform_limit": "Can change a retailer's platform limit",
        "rescore_retailer": "Can have a retailer scored now",
    },
    "credit.creditaccount": {
        "change_account_limit": "Can change an account's limit",
        "change_terms": "Can change an account's payment terms",
        "freeze_account": "Can freeze an account",
        "unfreeze_account": "Can unfreeze an account",
    },
    "credit.limitchange": {"decide_limit_change": "Can approve or decline a change of a limit"},
    "orders.order": {
        "place_order": "Can place an order for a retailer",
        "reroute_order": "Can route an order again",
        "accept_order": "Can accept an order for its vendor",
        "reject_order": "Can reject an order for its vendor",
        "pack_order": "Can pack an order",
        "dispatch_order": "Can dispatch an order",
        "send_out_order": "Can send an order out for delivery",
        "deliver_order": "Can deliver an order",
        "complete_order": "Can complete an order",
        "cancel_order": "Can cancel an order",
    },
    "orders.orderrefusal": {
        "approve_refusal": "Can approve a refused order once",
        "decline_refusal": "Can decline a refused order",
    },
    "payments.payment": {
        "record_payment": "Can record a payment",
        "reverse_payment": "Can reverse a payment",
        "bounce_cheque": "Can record a bounced cheque",
    },
    "payments.paymentpromise": {
        "record_promise": "Can record a promise to pay",
        "cancel_promise": "Can cancel a promise to pay",
    },
    "payments.invoicedispute": {
        "open_dispute": "Can open a dispute about an invoice",
        "resolve_dispute": "Can resolve a dispute about an invoice",
    },
    "payments.collectiontask": {"finish_task": "Can close a task about a late due"},
    "monitoring.jobminute": {
        # of no model: the pages about the database; `monitoring.view_*` gives it to Owner and Database
        "view_database": "Can see what the database does",
    },
    "monitoring.report": {
        "request_report": "Can have a report made",
        "download_report": "Can take a report's file out of the site",
        "cancel_report": "Can cancel a report that is being made",
    },
    "monitoring.indexadvice": {
        "request_indexadvice": "Can have missing indexes searched for",
        "dismiss_indexadvice": "Can dismiss advice about an index",
    },
    "monitoring.alertrule": {"change_rule": "Can change from when a rule raises an alert"},
    "monitoring.maintenancerun": {
        "cancel_session": "Can cancel what a database session runs",
        "terminate_session": "Can terminate a database session",
        "start_maintenance": "Can have a table or index maintained",
        "cancel_maintenance": "Can cancel maintenance",
    },
}

_TRADE = (
    "vendors.view_*",
    "credit.view_*",
    "orders.view_*",
    "payments.view_*",
    "whatsapp.view_*",
)
_DESK = (
    "khaacho.view_user",
    "khaacho.view_auditlog",
    "khaacho.view_job",
    "khaacho.view_alert",
)
_ALERTS = ("khaacho.acknowledge_alert", "khaacho.resolve_alert")
_STANDING = (
    "vendors.register_vendor",
    "vendors.approve_vendor",
    "vendors.block_vendor",
    "vendors.unblock_vendor",
    "credit.register_retailer",
    "credit.approve_retailer",
    "credit.block_retailer",
    "credit.unblock_retailer",
)
_CATALOGUE = (
    "vendors.add_product",
    "vendors.change_product",
    "vendors.change_vendor",
    "vendors.create_offer",
    "vendors.change_offer",
    "vendors.withdraw_offer",
    "credit.change_retailer",
)
_CREDIT = (
    "credit.rescore_retailer",
    "credit.change_platform_limit",
    "credit.change_account_limit",
    "credit.change_terms",
    "credit.freeze_account",
    "credit.unfreeze_account",
    "credit.decide_limit_change",
    "orders.approve_refusal",
    "orders.decline_refusal",
    "payments.record_payment",
    "payments.reverse_payment",
    "payments.bounce_cheque",
    "payments.record_promise",
    "payments.cancel_promise",
    "payments.open_dispute",
    "payments.resolve_dispute",
    "payments.finish_task",
)
_ORDERS = tuple(f"orders.{codename}" for codename in ACTS["orders.order"])
_REPORTS = (
    "monitoring.view_report",
    *(f"monitoring.{codename}" for codename in ACTS["monitoring.report"]),
)
_MAINTENANCE = tuple(f"monitoring.{codename}" for codename in ACTS["monitoring.maintenancerun"])
_USERS = tuple(f"khaacho.{codename}" for codename in ACTS["khaacho.user"])
_QUEUES = (
    "khaacho.view_queuesetting",
    "khaacho.view_workernode",
    *(f"khaacho.{codename}" for codename in ACTS["khaacho.job"]),
    *(f"khaacho.{codename}" for codename in ACTS["khaacho.queuesetting"]),
)
_ADVICE = tuple(f"monitoring.{codename}" for codename in ACTS["monitoring.indexadvice"])
_CLOCK = ("django_celery_beat.view_*", "django_celery_beat.change_periodictask")

# `app.view_*` stands for every model of the app.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Owner": (
        *("khaacho.view_*", "khaacho.change_user", "monitoring.view_*"),
        *_QUEUES,
        *("orders.add_fiscalyear", "orders.change_fiscalyear"),
        *_TRADE,
        *_ALERTS,
        *_STANDING,
        *_CATALOGUE,
        *_CREDIT,
        *_ORDERS,
        *_USERS,
        *_CLOCK,
        *_REPORTS,
        *_ADVICE,
        *_MAINTENANCE,
        "monitoring.change_rule",
    ),
    "Operations": (
        *_TRADE,
        *_DESK,
        *_ALERTS,
        *_STANDING,
        *_ORDERS,
        *_REPORTS,
        "payments.record_payment",
        "orders.decline_refusal",
        *_QUEUES,
    ),
    "Credit": (*_TRADE, *_DESK, *_ALERTS, *_STANDING, *_CREDIT, *_REPORTS),
    "Catalogue": ("vendors.view_*", "credit.view_retailer", *_CATALOGUE),
    "Support": (*_TRADE, *_DESK, "monitoring.view_report"),
    "Database": (
        *_DESK,
        *_ALERTS,
        *_CLOCK,
        "monitoring.view_*",
        *_QUEUES,
        *_ADVICE,
        *_MAINTENANCE,
        "monitoring.change_rule",
    ),
}


def require(actor: Actor, permission: str) -> None:
    """Raise Forbidden unless an employee's groups allow the act, by whichever way they come.

    Shops and wholesalers are judged by the verb itself, and the system may do what its jobs do.
    """
    if actor.is_staff and not allows(actor, permission):
        raise Forbidden(f"Your groups do not allow this: {permission}.")


def allows(actor: Actor, permission: str) -> bool:
    """Return whether an employee's groups allow the act; the system's jobs may do anything."""
    if actor.user_id is None:
        return True
    user = User.objects.filter(pk=actor.user_id).first()
    return user is not None and user.has_perm(permission)


@transaction.atomic
def sync_groups() -> None:
    """Make the permissions of the acts and give each group exactly its own. Needs migrated tables.

    A dozen statements, and nothing but reading when all is as it should be. Two at once do no harm.
    Raises LookupError for a name that stands for no permission.
    """
    _make_permissions()
    groups = _make_groups()
    ids = {
        f"{app_label}.{codename}": pk
        for pk, app_label, codename in Permission.objects.values_list(
            "pk", "content_type__app_label", "codename"
        )
    }
    wanted = {
        (groups[name], ids[permission])
        for name, patterns in GROUPS.items()
        for permission in _matching(patterns, ids)
    }
    has = {
        (group, permission): pk
        for pk, group, permission in _Given.objects.filter(group__in=groups.values()).values_list(
            "pk", "group", "permission"
        )
    }
    if taken := [pk for pair, pk in has.items() if pair not in wanted]:
        _Given.objects.filter(pk__in=taken).delete()
    _Given.objects.bulk_create(
        [
            _Given(group_id=group, permission_id=permission)
            for group, permission in sorted(wanted - has.keys())
        ],
        ignore_conflicts=True,
    )


def _make_groups() -> dict[str, int]:
    """Make those of GROUPS that are missing; return the id of each by its name."""
    ours = Group.objects.filter(name__in=GROUPS).values_list("name", "pk")
    if missing := sorted(GROUPS.keys() - dict(ours)):
        Group.objects.bulk_create([Group(name=name) for name in missing], ignore_conflicts=True)
    return dict(ours.all())


def _make_permissions() -> None:
    """Make those of ACTS that are missing, and put right those with another name."""
    names = {
        (pk, codename): name
        for pk, codename, name in Permission.objects.values_list("content_type", "codename", "name")
    }
    wanted = {
        (ContentType.objects.get_by_natural_key(*label.split(".")).pk, codename): name
        for label, acts in ACTS.items()
        for codename, name in acts.items()
    }
    Permission.objects.bulk_create(
        [
            Permission(content_type_id=pk, codename=codename, name=name)
            for (pk, codename), name in wanted.items()
            if names.get((pk, codename)) != name
        ],
        update_conflicts=True,
        unique_fields=["content_type", "codename"],
        update_fields=["name"],
    )


def _matching(patterns: Iterable[str], known: Iterable[str]) -> set[str]:
    """Return the names meant; one may end with a star. Raises LookupError for one that is not known."""
    stars = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))
    plain = {pattern for pattern in patterns if not pattern.endswith("*")}
    if missing := plain.difference(known):
        raise LookupError(f"no such permissions: {sorted(missing)}")
    return plain | {name for name in known if name.startswith(stars)}
