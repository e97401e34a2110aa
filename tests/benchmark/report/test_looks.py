from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from benchmark.report import looks
from benchmark.report.looks import REFERENCES, family_of, look
from benchmark.report.page.colours import DARK, LIGHT, readable
from methods import METHODS


@pytest.mark.parametrize("name", METHODS)
def test_a_look_does_not_hang_on_who_else_is_there(name, monkeypatch):
    """A method that is added at the end of the registry, to a family or as one, changes no other's colour."""
    reference = METHODS[name].reference
    before = look(name, reference=reference)
    added = {"new-variant": METHODS["vaex"], "new-family": replace(METHODS["vaex"], path="methods.new.method:New")}
    monkeypatch.setattr(looks, "METHODS", {**METHODS, **added})
    assert look(name, reference=reference) == before


def test_no_two_look_alike(monkeypatch):
    """No two methods share colour and marker, in families as large as there are markers; only references are grey."""
    many = {f"variant-{i}": METHODS["vaex"] for i in range(9)}
    monkeypatch.setattr(looks, "METHODS", {**METHODS, **many})
    found = {name: look(name, reference=entry.reference) for name, entry in looks.METHODS.items()}
    assert len(set(found.values())) == len(found)
    assert all(entry.reference == (len(set(found[name][0])) == 1) for name, entry in looks.METHODS.items())


def test_methods_of_a_family_have_colours_of_their_own():
    """In the panel of a family no colour comes twice."""
    families = {name: family_of(name, reference=entry.reference) for name, entry in METHODS.items()}
    for family in set(families.values()) - {REFERENCES}:
        own = [look(name, reference=False)[0] for name in families if families[name] == family]
        assert len(set(own)) == len(own)


SEEN = {
    "all colours": np.eye(3),
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}
"""What the eye makes of linear RGB, after Machado, Oliveira and Fernandes 2009."""
APART, CLEARLY = 15, 45
"""Distance in CIELAB of two colours, with either kind of colour-blindness and without."""


def cielab(linear):
    """CIELAB of linear RGB (N, 3), under D65."""
    xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    shares = np.clip(linear, 0, 1) @ np.transpose(xyz) / [0.9505, 1, 1.089]
    x, y, z = np.where(shares > 0.008856, np.cbrt(shares), 7.787 * shares + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


@pytest.mark.parametrize("eye", SEEN)
@pytest.mark.parametrize("ground", [LIGHT, DARK])
def test_everybody_can_tell_the_hues(ground, eye):
    """Any two differ to every eye, as they are on a light and on a dark page."""
    hues = np.array([readable(to_rgb(hue), ground) for hue in looks.HUES])
    linear = np.where(hues <= 0.04045, hues / 12.92, ((hues + 0.055) / 1.055) ** 2.4)
    seen = cielab(linear @ np.transpose(SEEN[eye]))
    nearest = min(np.linalg.norm(one - other) for one, other in combinations(seen, 2))
    assert nearest > (CLEARLY if eye == "all colours" else APART)
