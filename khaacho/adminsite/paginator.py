"""Pages of big tables without counting them."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

from khaacho import sql

COUNTED = 10_000  # rows; nobody turns pages beyond: filters and search lead there


class BoundedPaginator(Paginator):  # type: ignore[type-arg] # generic in the stubs alone
    """Counts at most 10,000 rows; a larger unfiltered table answers with the planner's estimate.

    Pages end at the bound. At most two cheap statements.
    """

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        estimate = self._estimate()
        if estimate > COUNTED:
            return estimate
        return self.object_list.order_by()[: COUNTED + 1].count()

    @property
    def is_bounded(self) -> bool:
        """Whether `count` is not exact."""
        return self.count > COUNTED

    @cached_property
    def num_pages(self) -> int:
        rows = max(1, min(self.count, COUNTED))
        return -(-rows // self.per_page)

    def _estimate(self) -> int:
        """Return the table's rows as of its last ANALYZE; 0 when filtered or not known."""
        query = self.object_list.query
        if query.where or query.is_sliced or query.distinct:
            return 0
        row = sql.fetch_one(
            "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = %s::regclass",
            [f'"{self.object_list.model._meta.db_table}"'],
        )
        return int(row[0]) if row else 0
