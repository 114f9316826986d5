from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _static_root(settings, tmp_path: Path) -> None:
    """WhiteNoise warns of a missing directory, and warnings are errors."""
    settings.STATIC_ROOT = tmp_path
