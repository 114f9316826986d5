"""How long the pages about the database may take here."""

import pytest

from monitoring.pages import framework

BOUNDS = (framework.PANEL_MS, framework.PAGE_MS)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no panel be left out for want of time, however busy the machine is."""
    monkeypatch.setattr(framework, "PANEL_MS", 10_000)
    monkeypatch.setattr(framework, "PAGE_MS", 20_000)


@pytest.fixture
def hurried(unhurried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound panels and pages as in production."""
    for name, milliseconds in zip(("PANEL_MS", "PAGE_MS"), BOUNDS, strict=True):
        monkeypatch.setattr(framework, name, milliseconds)
