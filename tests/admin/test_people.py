"""Signing in, groups, and what each of them may open and do."""

from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from khaacho import permissions, sign_ins
from khaacho.enums import Role
from khaacho.models import AuditLog, SignInFailure, User
from orders.models import Order
from tests.admin.conftest import PASSWORD, signed_in
from tests.admin.desk import act, list_of, page_of, texts
from tests.admin.test_lists import OUR_MODELS
from tests.admin.test_verbs import CASES
from tests.admin.trade import make_paid_order, trade
from tests.factories import make_user
from tests.races import race
from vendors.models import Product

LOGIN = "/admin/login/?next=/admin/"


def sign_in(client: Client, phone: str, password: str = PASSWORD):
    return client.post(LOGIN, {"username": phone, "password": password})


@pytest.mark.parametrize("form", ["{0}", "{1}", "{2}"])
def test_signs_in_by_phone_with_or_without_the_country(client, groups, form: str):
    user = make_user(Role.OPERATOR)
    local = user.phone.removeprefix("+977")
    typed = form.format(user.phone, local, f"{local[:3]}-{local[3:6]} {local[6:]}")
    assert sign_in(client, typed)["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200
    assert not SignInFailure.objects.exists()


@pytest.mark.parametrize("role", [Role.RETAILER, Role.VENDOR])
def test_shops_and_wholesalers_are_refused(client, db, role: Role):
    user = make_user(role)
    assert sign_in(client, user.phone).status_code == 200
    client.force_login(user)
    assert client.get("/admin/").status_code == 302
    assert client.get(list_of(Order)).status_code == 302


@pytest.mark.parametrize("fields", [{"is_active": False}, {"deleted_at": "2026-01-01T00:00Z"}])
def test_people_who_left_are_refused(client, db, fields):
    user = make_user(Role.ADMIN, **fields)
    assert sign_in(client, user.phone).status_code == 200
    assert "_auth_user_id" not in client.session


def test_guessing_is_slowed_down(client, db):
    user = make_user(Role.ADMIN)
    for _ in range(sign_ins.PHONE_FAILURES):
        assert "correct phone" in sign_in(client, user.phone, "wrong").content.decode()
    refused = sign_in(client, user.phone)
    assert "Too many failed attempts" in refused.content.decode()
    assert "_auth_user_id" not in client.session


def test_sync_groups_is_idempotent_and_leaves_other_groups_alone(db):
    own = Group.objects.create(name="Night shift")
    call_command("sync_groups", stdout=StringIO())
    before = (Permission.objects.count(), Group.objects.count())
    Group.objects.get(name="Support").permissions.add(
        Permission.objects.get(codename="cancel_order")
    )
    permissions.sync_groups()
    assert (Permission.objects.count(), Group.objects.count()) == before
    support = Group.objects.get(name="Support").permissions
    assert set(support.values_list("codename", flat=True)) == {
        name for name in support.values_list("codename", flat=True) if name.startswith("view_")
    }
    assert own.permissions.count() == 0


def test_sync_groups_only_reads_where_all_is_well_and_mends_what_is_not(db):
    permissions.sync_groups()
    with CaptureQueriesContext(connection) as again:
        permissions.sync_groups()
    assert 0 < len(again) < 10
    assert all(query["sql"].startswith(("SELECT", "SAVEPOINT", "RELEASE")) for query in again)

    Permission.objects.filter(codename="cancel_order").update(name="Can fly an order")
    Permission.objects.get(codename="cancel_job").delete()
    Group.objects.get(name="Credit").delete()
    permissions.sync_groups()
    assert Permission.objects.get(codename="cancel_order").name == "Can cancel an order"
    assert Group.objects.filter(name="Operations", permissions__codename="cancel_job").exists()
    assert Group.objects.get(name="Credit").permissions.filter(codename="freeze_account").exists()


@pytest.mark.django_db(transaction=True)
def test_many_may_sync_the_groups_at_once():
    Permission.objects.filter(codename__in=("cancel_order", "cancel_job")).delete()
    Group.objects.filter(name__in=("Credit", "Support")).delete()
    assert race(*[permissions.sync_groups] * 6) == {"ok": 6}
    for _ in range(5):  # now nothing but the grants is written, so that nobody waits before
        Group.permissions.through.objects.all().delete()
        assert race(*[permissions.sync_groups] * 6) == {"ok": 6}
    assert Group.objects.filter(name="Operations", permissions__codename="cancel_job").exists()
    assert Group.objects.get(name="Credit").permissions.filter(codename="freeze_account").exists()


def test_an_unknown_permission_is_an_error(db, monkeypatch):
    monkeypatch.setattr(permissions, "GROUPS", {"Support": ("orders.fly_order",)})
    with pytest.raises(LookupError, match="fly_order"):
        permissions.sync_groups()


MONEY = {
    "record_payment",
    "reverse_payment",
    "bounce_cheque",
    "change_platform_limit",
    "change_account_limit",
    "decide_limit_change",
    "approve_refusal",
    "freeze_account",
    "unfreeze_account",
    "change_terms",
}


@pytest.mark.parametrize(
    ("group", "money"),
    [
        ("Owner", MONEY),
        ("Credit", MONEY),
        ("Operations", {"record_payment"}),
        ("Catalogue", set()),
        ("Support", set()),
        ("Database", set()),
    ],
)
def test_who_may_move_money(member, group: str, money: set[str]):
    user = User.objects.get(pk=member(group).pk)
    may = {name.partition(".")[2] for name in user.get_all_permissions()}
    assert may & MONEY == money


def test_support_sees_everything_of_the_trade_and_can_do_nothing(member):
    trade(0)
    client = signed_in(member("Support"))
    for model in (Order, Product):
        page = client.get(page_of(model.objects.order_by("-pk").first()))
        assert page.status_code == 200
        assert page.context["verbs"] == []
        assert not page.context["has_change_permission"]
    for case in CASES:
        record = case.make() if case.verb.endswith("_order") else None
        if record is not None:
            assert act(client, record, case.verb, **case.fields).status_code == 403
    assert client.get(list_of(Order)).context["action_form"] is None
    assert client.post(f"{list_of(Product)}add/").status_code == 403


@pytest.mark.parametrize("group", list(permissions.GROUPS))
def test_the_menu_hides_what_one_may_not_open(member, group: str):
    client = signed_in(member(group))
    shown = {
        model["admin_url"]
        for app in client.get("/admin/").context["app_list"]
        for model in app["models"]
    }
    for model in OUR_MODELS:
        answer = client.get(list_of(model)).status_code
        assert answer == (200 if list_of(model) in shown else 403), model
    assert shown


def test_adding_staff_gives_groups_on_record(admin, admin_user):
    operations = Group.objects.get(name="Operations")
    data = {
        "name": "Maya",
        "phone": "9812345678",
        "role": "OPERATOR",
        "groups": [operations.pk],
        "password": "a long new one",
        "_confirm": "1",
    }
    admin.post(f"{list_of(User)}verb/add_staff/", data)
    made = User.objects.get(phone="+9779812345678")
    assert list(made.groups.all()) == [operations]
    entry = AuditLog.objects.get(action="user.groups_changed")
    assert (entry.user, entry.new_values) == (admin_user, {"groups": "Operations"})
    weak = data | {"phone": "9812345679", "password": "123"}
    response = admin.post(f"{list_of(User)}verb/add_staff/", weak)
    assert response.context["form"].errors["password"]
    assert not User.objects.filter(phone="+9779812345679").exists()
    assert "too short" in response.content.decode()


def test_only_superusers_edit_rights_and_nobody_edits_role_or_phone(admin, member):
    user = member("Support")
    data = {"name": "Sita", "email": "", "language": "ne", "role": "ADMIN", "is_superuser": "on"}
    owner = signed_in(member("Owner"))
    credit = Group.objects.get(name="Credit")
    owner.post(page_of(user), data | {"groups": [credit.pk], "phone": "+9779899999999"})
    user.refresh_from_db()
    assert (user.role, user.is_superuser) == (Role.OPERATOR, False)
    assert [group.name for group in user.groups.all()] == ["Support"]
    admin.post(page_of(user), data | {"groups": [credit.pk]})
    assert [group.name for group in user.groups.all()] == ["Credit"]


def test_an_operator_edits_no_administrator(admin_user, member):
    owner = signed_in(member("Owner"))
    response = owner.post(page_of(admin_user), {"name": "Eve", "language": "ne"})
    assert response.status_code == 403
    refused = act(owner, admin_user, "reset_password", password="a long new one")
    assert "Only an administrator" in texts(refused)
    admin_user.refresh_from_db()
    assert admin_user.check_password(PASSWORD)


def test_edits_are_in_djangos_log_too(admin, admin_user):
    make_paid_order()
    product = Product.objects.get()
    data = admin.get(page_of(product)).context["adminform"].form.initial | {"name": "Basmati"}
    admin.post(page_of(product), {k: v for k, v in data.items() if v is not None})
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr) == (admin_user, f"Basmati ({product.sku})")
    assert (
        "Changed Name"
        in admin.get(page_of(product).replace("/change/", "/history/")).content.decode()
    )
