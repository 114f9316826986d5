"""Routes. Apps are named as strings only, so that the bottom package stays at the bottom."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
