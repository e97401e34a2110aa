import pytest
import torch

from benchmark.jobs.evidence import Answers, Networks, Reals
from benchmark.jobs.measure import measure, normalised_distances
from metrics.frechet import frechet_distance

COUNT = 6
IMAGES = torch.randint(256, (3 * COUNT, 1, 5, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def frechet(samples):
    """The Fréchet distances in the rows of a job whose generator drew `samples`, by metric."""
    queries, reals = IMAGES[:COUNT], IMAGES[COUNT : 2 * COUNT]
    answers = Answers(queries, torch.ones(COUNT, dtype=torch.long), queries[None], queries, (0.0,), {}, samples)
    return {row.metric: row for row in measure(answers, Reals(reals), EYES)[0] if row.metric.startswith("fid")}


def pixels(images):
    return images.flatten(1)[:, :3]


def panel(images):
    return pixels(images)[:, None]


EYES = Networks(pixels, panel, {"oracle": pixels}, torch.device("cpu"))


def test_samples_are_scored():
    """Samples of a generator are held against the real images, as queries are; a job without them has no such row."""
    assert "fid_oracle_samples" not in frechet(None)
    as_queries, others = frechet(IMAGES[:COUNT]), frechet(IMAGES[2 * COUNT :])
    assert as_queries["fid_oracle_samples"].value == as_queries["fid_oracle_real"].value
    assert others["fid_oracle_samples"].value != others["fid_oracle_real"].value
    assert others["fid_oracle_samples"].n == COUNT


def test_distances_between_sets_are_normalised():
    """Every set stands against those before it, in units of the distance of generated to real images."""
    real, generated, one = IMAGES.split(COUNT)
    sets = {"samples": generated, "one": one, "again": one.flip(0)}
    rows = {row["set"]: row for row in normalised_distances(sets, real, EYES)["normalised-fid-oracle"].rows}
    unit = frechet_distance(pixels(generated.double() / 255), pixels(real.double() / 255)).value
    to_real = frechet_distance(pixels(one.double() / 255), pixels(real.double() / 255)).value
    assert list(rows) == ["generated", "one", "again"]
    assert rows["generated"] == {"set": "generated", "to real": 1.0, "to generated": "", "to one": ""}
    assert rows["one"]["to real"] == pytest.approx(to_real / unit, rel=1e-3)
    assert rows["again"]["to one"] == pytest.approx(0, abs=1e-3)
    assert rows["again"]["to generated"] == pytest.approx(rows["one"]["to generated"], rel=1e-3)


def test_one_set_has_no_table_of_distances():
    """A method that makes one set, or none, or nothing of noise alone has no table of distances between sets."""
    one, other, real = IMAGES.split(COUNT)
    for sets in ({}, {"samples": one}, {"one": one, "other": other}):
        assert normalised_distances(sets, real, EYES) == {}
