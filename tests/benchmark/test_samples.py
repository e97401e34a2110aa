import torch

from benchmark.scoring import Answers, Judges, score

COUNT = 6
IMAGES = torch.randint(256, (3 * COUNT, 1, 5, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def frechet(samples):
    """The Fréchet distances in the rows of a job whose generator drew `samples`, by metric."""
    queries, reals = IMAGES[:COUNT], IMAGES[COUNT : 2 * COUNT]
    answers = Answers(queries, torch.ones(COUNT, dtype=torch.long), queries[None], queries, (0.0,), {}, samples)
    judges = Judges(pixels, pixels, {"classifier": pixels}, torch.device("cpu"))
    return {row.metric: row for row in score(answers, reals, judges)[0] if row.metric.startswith("fid")}


def pixels(images):
    return images.flatten(1)[:, :3]


def test_samples_are_scored():
    """Samples of a generator are held against the real images, as queries are; a job without them has no such row."""
    assert "fid_classifier_samples" not in frechet(None)
    as_queries, others = frechet(IMAGES[:COUNT]), frechet(IMAGES[2 * COUNT :])
    assert as_queries["fid_classifier_samples"].value == as_queries["fid_classifier_real"].value
    assert others["fid_classifier_samples"].value != others["fid_classifier_real"].value
    assert others["fid_classifier_samples"].n == COUNT
