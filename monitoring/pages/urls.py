"""The monitoring pages in the order of their menu; routes beneath /admin/database/."""

from django.urls import URLPattern, URLResolver

from monitoring.pages import (
    backups,
    connections,
    indexes,
    maintenance,
    missing,
    overview,
    pool,
    query,
    releases,
    routes,
    space,
    statements,
    tables,
)
from monitoring.pages.framework import page_urls

PAGES = (
    overview.PAGE,
    statements.PAGE,
    query.PAGE,
    routes.PAGE,
    releases.PAGE,
    indexes.PAGE,
    missing.PAGE,
    tables.PAGE,
    connections.PAGE,
    pool.PAGE,
    space.PAGE,
    maintenance.PAGE,
    maintenance.RUN,
    backups.PAGE,
)

urlpatterns: list[URLPattern | URLResolver] = page_urls(PAGES)
