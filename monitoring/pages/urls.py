"""The monitoring pages in the order of their menu; routes beneath /admin/database/."""

from django.urls import URLPattern, URLResolver

from monitoring.pages import overview
from monitoring.pages.framework import page_urls

PAGES = (overview.PAGE,)

urlpatterns: list[URLPattern | URLResolver] = page_urls(PAGES)
