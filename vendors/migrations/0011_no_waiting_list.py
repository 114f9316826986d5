"""The indexes of a search keep no list of entries that wait to be sorted in: each search read all of it.

The next migration empties the lists that there are, when the locks of this one are gone.
"""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import migrations
from django.db.models.functions import Upper

import vendors.models

INDEXES = ("catalogue_words_trgm_idx", "product_words_idx", "products_name_trgm_idx")


def _declared(model: str, index: GinIndex) -> list[migrations.operations.base.Operation]:
    return [migrations.RemoveIndex(model, index.name), migrations.AddIndex(model, index)]


class Migration(migrations.Migration):
    dependencies = [("vendors", "0010_numbers_grow")]
    operations = [
        *(
            migrations.RunSQL(
                f"ALTER INDEX {name} SET (fastupdate = off)",
                f"ALTER INDEX {name} RESET (fastupdate)",
            )
            for name in INDEXES
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                *_declared(
                    "product",
                    GinIndex(
                        OpClass(Upper("name"), name="gin_trgm_ops"),
                        name="products_name_trgm_idx",
                        fastupdate=False,
                    ),
                ),
                *_declared(
                    "product",
                    GinIndex(
                        vendors.models.ProductWords(), name="product_words_idx", fastupdate=False
                    ),
                ),
            ]
        ),
    ]
