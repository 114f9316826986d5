"""Built while the table is in use."""

from django.db import migrations

BUILD = (
    "CREATE INDEX CONCURRENTLY order_window_idx ON orders (vendor_id, delivery_window)"
    " WHERE delivery_window <> ''"
)
DROP = "DROP INDEX CONCURRENTLY order_window_idx"


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("window", "0001_orders_have_a_window")]
    operations = [migrations.RunSQL(BUILD, DROP)]
