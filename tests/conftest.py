"""Hypothesis tries the same examples in every run, so that CI fails for a change and not by chance.

`pytest --hypothesis-profile=default` looks for new ones.
"""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
