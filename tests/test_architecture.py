"""What import-linter cannot see: string foreign keys, migrations, models by name, second writers."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db.migrations.loader import MigrationLoader

LAYERS = ["khaacho", "vendors", "credit", "orders", "payments", "whatsapp", "monitoring"]
ROOT = Path(settings.BASE_DIR)
BROKER = {"khaacho/broker.py"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for app in LAYERS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


def test_relations_point_down():
    up = [
        f"{model._meta.label}.{f.name} -> {f.related_model._meta.label}"
        for model in apps.get_models()
        if model._meta.app_label in LAYERS
        for f in model._meta.get_fields()
        if f.concrete
        and f.is_relation
        and f.related_model._meta.app_label in LAYERS
        and LAYERS.index(f.related_model._meta.app_label) > LAYERS.index(model._meta.app_label)
    ]
    assert up == []


def test_migrations_point_down():
    graph = MigrationLoader(None).graph
    up = [
        f"{node} -> {parent.key}"
        for node in graph.nodes
        if node[0] in LAYERS
        for parent in graph.node_map[node].parents
        if parent.key[0] in LAYERS and LAYERS.index(parent.key[0]) > LAYERS.index(node[0])
    ]
    assert up == []


def test_no_model_is_fetched_by_name():
    found = [
        f"{path}:{node.lineno}"
        for path, tree in sources()
        for name, node in calls(tree)
        if name in {"get_model", "get_models"} and path.split("/")[0] != "monitoring"
    ]
    assert found == []


def test_foreign_keys_name_classes():
    """A string would hide a dependency from import-linter; only "self" is left."""
    found = [
        f"{path}:{node.lineno}"
        for path, tree in sources()
        for name, node in calls(tree)
        if name in {"ForeignKey", "OneToOneField", "ManyToManyField"}
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value != "self"
    ]
    assert found == []


# Whose rows are whose: outside its app, a model may be read and referenced, never written.
WRITES = {
    "create",
    "bulk_create",
    "update",
    "bulk_update",
    "delete",
    "get_or_create",
    "update_or_create",
    "save",
}
OWNERS = {
    model.__name__: model._meta.app_label
    for model in apps.get_models()
    if model._meta.app_label in LAYERS
}
# Registration makes the user below the shop; the sign-in belongs to the bottom layer.
ALLOWED = {("credit", "User"), ("vendors", "User")}


def chained_model(node: ast.expr) -> str | None:
    """`Order` of `Order.objects.filter(…).update(…)`."""
    while True:
        if isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Attribute):
            if node.attr == "objects" and isinstance(node.value, ast.Name):
                return node.value.id
            node = node.value
        else:
            return None


def test_rows_are_written_by_their_own_app():
    found = []
    for path, tree in sources():
        app = path.split("/")[0]
        for name, node in calls(tree):
            if name not in WRITES or not isinstance(node.func, ast.Attribute):
                continue
            model = chained_model(node.func.value)
            owner = OWNERS.get(model or "", app)
            if owner != app and (app, model) not in ALLOWED:
                found.append(f"{path}:{node.lineno} {model}.{name}")
    assert found == []


# Columns that only one module writes, in Python or in SQL.
COLUMNS = {
    "reserved_credit": {"credit/services/exposure.py"},
    "paid_amount": {"orders/services/settlement.py"},
    "last_number": {"orders/services/fulfilment.py"},
}


@pytest.mark.parametrize("column", COLUMNS)
def test_hot_columns_have_one_writer(column):
    assigned = (f"SET {column} =", f", {column} =", f"{column}=F(")
    found = {
        path
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and any(text in node.value for text in assigned)
        and "WHERE" in node.value + "WHERE"
        and "UPDATE" in node.value
    }
    assert found <= COLUMNS[column]


def test_nothing_but_the_broker_publishes():
    found = [
        f"{path}:{node.lineno}"
        for path, tree in sources()
        if path not in BROKER
        for name, node in calls(tree)
        if name in {"delay", "apply_async", "send_task", "retry"}
        and getattr(node.func, "attr", "") == name
        and name != "retry"
    ]
    assert found == []


def test_services_know_no_request():
    found = [
        f"{path}:{node.lineno}"
        for path, tree in sources()
        if "/services" in path or path.endswith("selectors.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.arg) and node.arg == "request" and annotation(node) == "HttpRequest"
    ]
    assert found == []


def annotation(node: ast.arg) -> str:
    return getattr(node.annotation, "id", "")
