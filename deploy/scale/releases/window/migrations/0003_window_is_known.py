"""What the column may hold from now on; the rows that are there are looked at later, without a lock."""

from django.db import migrations

ADD = (
    "ALTER TABLE orders ADD CONSTRAINT order_window_known"
    " CHECK (delivery_window IN ('', '06:00-10:00', '10:00-14:00', '14:00-18:00')) NOT VALID"
)
DROP = "ALTER TABLE orders DROP CONSTRAINT order_window_known"


class Migration(migrations.Migration):
    dependencies = [("window", "0002_window_index")]
    operations = [migrations.RunSQL(ADD, DROP)]
