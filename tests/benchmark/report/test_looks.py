from dataclasses import replace

import pytest

from benchmark.report import looks
from benchmark.report.looks import REFERENCES, family_of, look
from methods import METHODS


@pytest.mark.parametrize("name", METHODS)
def test_a_look_does_not_hang_on_who_else_is_there(name, monkeypatch):
    """A method that is added at the end of the registry, to a family or as one, changes no other's colour."""
    reference = METHODS[name].reference
    before = look(name, reference=reference)
    added = {"new-variant": METHODS["vaex"], "new-family": replace(METHODS["vaex"], path="methods.new.method:New")}
    monkeypatch.setattr(looks, "METHODS", {**METHODS, **added})
    assert look(name, reference=reference) == before


def test_families_share_a_hue(monkeypatch):
    """However many variants a family has, none looks like another, nor like a method of another family."""
    many = {f"variant-{i}": METHODS["vaex"] for i in range(20)}
    monkeypatch.setattr(looks, "METHODS", {**METHODS, **many})
    found = {name: look(name, reference=entry.reference) for name, entry in looks.METHODS.items()}
    assert len(set(found.values())) == len(found)
    families = {name: family_of(name, reference=entry.reference) for name, entry in looks.METHODS.items()}
    colours = {family: {found[name][0] for name in found if families[name] == family} for family in families.values()}
    assert sum(map(len, colours.values())) == len(set().union(*colours.values()))
    assert all((family == REFERENCES) == (len(set(c)) == 1) for family, some in colours.items() for c in some)
