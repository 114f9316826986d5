"""Pages of big tables without counting them."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from khaacho import sql
from khaacho.money import lakh

COUNTED = 10_000  # rows; a list of more is walked by cursor
# Of a partitioned table its parts': they are analysed by themselves, the table as a whole is not.
ROWS = """
SELECT sum(greatest(reltuples, 0))::bigint FROM pg_class, CAST(%s AS regclass) AS whole
WHERE oid = whole AND relkind <> 'p' OR oid IN (SELECT relid FROM pg_partition_tree(whole) WHERE isleaf)
"""


class BoundedPaginator(Paginator):  # type: ignore[type-arg] # generic in the stubs alone
    """Counts at most 10,000 rows; a larger unfiltered table answers with the planner's estimate.

    Page numbers end at the bound. At most two cheap statements.
    """

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        if self._estimate > COUNTED:
            return self._estimate
        return self.object_list.order_by()[: COUNTED + 1].count()

    @property
    def is_bounded(self) -> bool:
        """Whether `count` is not exact."""
        return self.count > COUNTED

    @cached_property
    def num_pages(self) -> int:
        rows = max(1, min(self.count, COUNTED))
        return -(-rows // self.per_page)

    @property
    def said_count(self) -> str:
        """The count as people read it: exact, `about 10,00,000` or `more than 10,000`."""
        if not self.is_bounded:
            return lakh(self.count)
        if self._estimate > COUNTED:
            return _("about %(count)s") % {"count": lakh(_rounded(self.count))}
        return _("more than %(count)s") % {"count": lakh(COUNTED)}

    @cached_property
    def _estimate(self) -> int:
        """Return the table's rows as of its last ANALYZE; 0 when filtered or not known."""
        query = self.object_list.query
        if query.where or query.is_sliced or query.distinct:
            return 0
        row = sql.fetch_one(
            ROWS,
            [f'"{self.object_list.model._meta.db_table}"'],
        )
        return int(row[0] or 0) if row else 0


def _rounded(count: int) -> int:
    """Round an estimate to two figures, which is all that it is good for."""
    step: int = 10 ** (len(str(count)) - 2)
    return round(count / step) * step
