"""Hypothesis tries the same examples in every run, so that CI fails for a change and not by chance.

`pytest --hypothesis-profile=default` looks for new ones.
"""

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

SLOW = {"smoke", "results", "papers", "trial", "kept", "shell", "popen"}
"""Fixtures that run the real command line, or train several networks: what asks for one of them is slow."""


def pytest_collection_modifyitems(items):
    """Mark what takes more than a second, so that `-m "not slow"` ends within a minute."""
    for item in items:
        if SLOW & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)
