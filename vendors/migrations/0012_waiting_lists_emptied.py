"""What waits to be sorted into the indexes of a search is sorted in; from now on nothing waits there."""

from django.db import migrations

INDEXES = ("catalogue_words_trgm_idx", "product_words_idx", "products_name_trgm_idx")


class Migration(migrations.Migration):
    dependencies = [("vendors", "0011_no_waiting_list")]
    operations = [
        migrations.RunSQL(f"SELECT gin_clean_pending_list('{name}')", migrations.RunSQL.noop)
        for name in INDEXES
    ]
