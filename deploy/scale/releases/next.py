"""The release after this one: the same code, and the migrations of `window`."""

from deploy.scale.releases.this import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "deploy.scale.releases.window"]  # noqa: F405
