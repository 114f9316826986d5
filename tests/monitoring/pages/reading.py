"""What a page about the database says, taken out of its HTML."""

import html
import re
import time

from django.test import Client

from monitoring.pages.urls import PAGES

MENU = [page for page in PAGES if page.in_menu]
PATIENCE = 3.0  # seconds; a page takes one at most


def url(name: str, **params: str) -> str:
    page = next(page for page in PAGES if page.name == name)
    query = "&".join(f"{key}={value}" for key, value in params.items())
    return f"/admin/database/{page.path}" + (f"?{query}" if query else "")


def body(client: Client, path: str) -> str:
    """Read a page, which must answer in time whatever is wrong."""
    begun = time.monotonic()
    response = client.get(path)
    assert time.monotonic() - begun < PATIENCE
    assert response.status_code == 200
    text: str = response.content.decode()
    assert "monitoring_panel_failed" not in text
    return text


def panels(text: str) -> dict[str, str]:
    """Return the panels' HTML by name."""
    parts = re.split(r'<section class="card" id="panel-([\w-]+)"', text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def words(markup: str) -> str:
    """Return what people read, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def troubles(markup: str) -> list[tuple[str, str]]:
    """Return what a panel says is wrong, each with the command that mends it."""
    found = re.findall(
        r'<div class="remedy" role="note">\s*<p>(.*?)</p>(?:\s*<pre><code>(.*?)</code></pre>)?',
        markup,
        re.DOTALL,
    )
    return [(words(what), html.unescape(fix)) for what, fix in found]
