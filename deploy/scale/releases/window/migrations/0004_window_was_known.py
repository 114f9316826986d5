"""The rows that are there, looked at while the table is in use."""

from django.db import migrations

VALIDATE = "ALTER TABLE orders VALIDATE CONSTRAINT order_window_known"


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("window", "0003_window_is_known")]
    operations = [migrations.RunSQL(VALIDATE, migrations.RunSQL.noop)]
