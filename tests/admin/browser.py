"""A real Chromium on the live server, which talks to nobody else."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from playwright.sync_api import Page, sync_playwright

from deploy.local.checks import BROWSERS

ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHOTS = os.environ.get("SHOTS", "")  # a directory: every page looked at is kept there as a picture


@contextlib.contextmanager
def chromium(address: str) -> Iterator[Page]:
    """Open a page of a Chromium that reaches `address` alone; fail the test when there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.fail("no Chromium here: apt-get install chromium-headless-shell")
    arguments = [*ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else ARGUMENTS
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(15_000)
        strangers: list[str] = []
        page.on(
            "request",
            lambda request: (
                strangers.append(request.url)
                if not request.url.startswith((address, "data:"))
                else None
            ),
        )
        try:
            yield page
        finally:
            # Beside the driver's event loop Django keeps connections of their own, which would outlive
            # this test and be cut by one that ends all sessions.
            connections.close_all()
            browser.close()
    assert strangers == []


def keep(page: Page, name: str) -> None:
    """Take a picture of the whole page when SHOTS names a directory."""
    if SHOTS:
        page.wait_for_load_state("networkidle")
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)
