"""Numbers for people grow longer when they must; lpad cut them, and the next one was taken already."""

from django.db import migrations

FORWARD = """
ALTER TABLE vendors ALTER COLUMN code SET DEFAULT
    ('VND-' || to_char(nextval('vendor_code_seq'), 'FM999999999999000000'));
"""
REVERSE = """
ALTER TABLE vendors ALTER COLUMN code SET DEFAULT
    ('VND-' || lpad(nextval('vendor_code_seq')::text, 6, '0'));
"""


class Migration(migrations.Migration):
    dependencies = [("vendors", "0009_list_filter_indexes")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]
