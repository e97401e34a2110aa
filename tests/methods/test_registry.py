import pytest

from methods import METHODS


@pytest.mark.parametrize("name", METHODS)
def test_entry_says_what_the_class_says(name):
    """What stands in the registry, so that methods are listed without torch, is what stands at the class."""
    entry = METHODS[name]
    loaded = entry.load()
    assert entry.meaning == loaded.__doc__.splitlines()[0]
    assert entry.reference == loaded.reference
