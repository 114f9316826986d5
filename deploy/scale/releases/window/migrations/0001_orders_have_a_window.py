"""A column with a constant default: no row is written anew, but nobody may be reading the table in that moment."""

from django.db import migrations

ADD = "ALTER TABLE orders ADD COLUMN delivery_window varchar(11) DEFAULT '' NOT NULL"
DROP = "ALTER TABLE orders DROP COLUMN delivery_window"


class Migration(migrations.Migration):
    dependencies = [("orders", "0009_falling_due_index")]
    operations = [migrations.RunSQL(ADD, DROP)]
