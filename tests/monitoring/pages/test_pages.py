"""Every page about the database: it answers with the right figures, to those who may see it."""

import re

import pytest
from django.test import Client

from monitoring.pages.urls import PAGES

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

MENU = [page for page in PAGES if page.in_menu]


def url(page, **params: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in params.items())
    return f"/admin/database/{page.path}" + (f"?{query}" if query else "")


def body(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("page", MENU, ids=lambda page: page.name)
def test_every_page_is_read_without_trouble(keeper, page):
    text = body(keeper, url(page))
    for panel in page.panels:
        assert f'id="panel-{panel.name}"' in text
    assert "monitoring_panel_failed" not in text
    troubles = re.findall(r'<div class="remedy" role="note">.*?</div>', text, re.DOTALL)
    assert troubles == []
