"""The monitoring pages in the order of their menu; routes beneath /admin/database/."""

from django.urls import URLPattern, URLResolver

from monitoring.pages import indexes, missing, overview, query, statements
from monitoring.pages.framework import page_urls

PAGES = (overview.PAGE, statements.PAGE, query.PAGE, indexes.PAGE, missing.PAGE)

urlpatterns: list[URLPattern | URLResolver] = page_urls(PAGES)
