"""Descriptions are edited by Catalogue; the triggers know who did it, and the timeline shows all."""

from decimal import Decimal
from typing import Any

from django.db import connection
from django.test import Client

from credit.models import CreditAccount, Retailer
from khaacho.models import AuditLog
from tests.admin.conftest import signed_in
from tests.admin.desk import list_of, page_of
from tests.factories import make_offer, make_order, make_product, make_retailer, make_vendor
from vendors.models import Product


def edit(client: Client, record: Any, **changes: Any):
    """Send the page's form as a browser would, with some fields changed."""
    form = client.get(page_of(record)).context["adminform"].form
    data = {name: form[name].value() for name in form.fields} | changes
    sent = {name: value for name, value in data.items() if value is not None and value is not False}
    return client.post(page_of(record), sent)


def test_an_edit_is_audited_with_the_editor(member):
    user = member("Catalogue")
    client = signed_in(user)
    product = make_product(name="Rice")
    response = edit(client, product, name="Basmati rice")
    assert response.status_code == 302, response.context["adminform"].form.errors
    entry = AuditLog.objects.get(action="product.updated")
    assert (entry.user, entry.old_values, entry.new_values) == (
        user,
        {"name": "Rice"},
        {"name": "Basmati rice"},
    )
    updated = Product.objects.get()
    assert updated.updated_at > product.updated_at


def test_vendors_and_retailers_too(member):
    client = signed_in(member("Catalogue"))
    for record, field in ((make_vendor(), "business_name"), (make_retailer(), "shop_name")):
        assert edit(client, record, **{field: "New name"}).status_code == 302
        record.refresh_from_db()
        assert getattr(record, field) == "New name"


def test_an_edit_writes_nothing_but_what_was_edited(admin, monkeypatch):
    shop = make_retailer()
    form = admin.get(page_of(shop)).context["adminform"].form
    data = {name: form[name].value() for name in form.fields} | {"district": "Dang"}
    make_order(shop, make_offer())
    save = Retailer.save

    def save_late(self, **options):
        Retailer.objects.filter(pk=self.pk).update(is_blocked=True, blocked_reason="meanwhile")
        save(self, **options)

    monkeypatch.setattr(Retailer, "save", save_late)
    assert admin.post(page_of(shop), data).status_code == 302
    shop.refresh_from_db()
    assert (shop.district, shop.is_blocked, shop.reserved_credit) == ("Dang", True, Decimal(100))


def test_balances_limits_and_standing_are_not_fields(admin):
    shop = make_retailer(credit_limit=1000)
    form = admin.get(page_of(shop)).context["adminform"].form
    assert set(form.fields) == {
        "shop_name",
        "shop_name_ne",
        "pan_number",
        "address",
        "municipality",
        "district",
        "province",
    }
    edit(admin, shop, credit_limit="999999", is_blocked="on", credit_score="900")
    shop.refresh_from_db()
    assert (shop.credit_limit, shop.is_blocked, shop.credit_score) == (Decimal(1000), False, 630)


def test_a_wrong_pan_number_is_told_in_words(admin):
    response = edit(admin, make_retailer(), pan_number="12")
    assert "nine digits" in response.content.decode()


def test_products_are_added_by_catalogue_alone(member):
    data = {
        "sku": "RICE-1",
        "name": "Rice",
        "category": "Rice",
        "unit": "bag",
        "tax_rate": "13",
        "min_quantity": "1",
        "max_quantity": "50",
        "is_active": "on",
    }
    address = f"{list_of(Product)}add/"
    assert signed_in(member("Operations")).post(address, data).status_code == 403
    user = member("Catalogue")
    assert signed_in(user).post(address, data).status_code == 302
    assert AuditLog.objects.get(action="product.created").user == user


def test_the_timeline_shows_edits_made_in_sql(admin, admin_user):
    product = make_product(name="Rice")
    edit(admin, product, name="Basmati")
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('khaacho.actor', '', true)")
        cursor.execute("UPDATE products SET name = 'Jeera' WHERE id = %s", [product.pk])
    page = admin.get(page_of(product))
    newest, edited, created = page.context["timeline"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        role = cursor.fetchone()[0]
    assert (newest.who, newest.what) == (f"system, or SQL as {role}", "updated")
    assert [(c.field, c.old, c.new) for c in newest.changes] == [("name", "Basmati", "Jeera")]
    assert edited.who == admin_user.name
    assert created.what == "created"
    html = page.content.decode()
    assert "<del>Basmati</del> → <ins>Jeera</ins>" in html


def test_names_are_escaped_everywhere(admin):
    shop = make_retailer()
    Retailer.objects.filter(pk=shop.pk).update(shop_name="<script>alert(1)</script>")
    make_order(shop, make_offer())
    pages = [list_of(shop), page_of(shop), page_of(shop.orders.get()), list_of(CreditAccount)]
    for page in pages:
        assert "<script>alert(1)" not in admin.get(page).content.decode(), page
