"""The third stage of a job: samples of the method's generator, its own figures and tables. Many methods have none."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmark.jobs.fit import fitted
from benchmark.jobs.work import Work
from benchmark.records.store import Artefact, key_of
from methods.base import Illustration, Study
from methods.pictures import eight_bit


def illustrate(work: Work, fit: Artefact) -> Artefact:
    """Samples of the method's generator, its illustrations and its studies."""
    config, count = work.method().config.model_dump(), work.question.real_count
    without = {} if work.protocol.studies else {"studies": False}
    key = key_of(fit=fit.name, config=config, count=count, seed=work.job.seed, **without)
    artefact = Artefact(work.protocol.runs, "show", key)
    artefact.make(partial(_illustrate, work, fit))
    return artefact


def _illustrate(work: Work, fit: Artefact, _: Artefact) -> tuple[dict[str, Tensor], dict[str, Any]]:
    method = fitted(work, fit)
    torch.manual_seed(work.question.seed_for("show"))
    with torch.no_grad():
        samples = method.samples(work.question.real_count)
        own = (method.illustrations(), method.studies()) if work.protocol.studies else ({}, {})
        return kept(samples, *own)


def kept(
    samples: Mapping[str, Tensor], illustrations: Mapping[str, Illustration], studies: Mapping[str, Study]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Sets of pictures, figures and tables as tensors and facts of an artefact."""
    tensors = {f"sample.{name}": eight_bit(images).cpu() for name, images in samples.items()}
    tensors |= {f"illustration.{name}": eight_bit(shown.images).cpu() for name, shown in illustrations.items()}
    facts = {
        "illustrations": {
            name: {"title": shown.title, "captions": shown.captions, "headings": shown.headings}
            for name, shown in illustrations.items()
        },
        "studies": {name: study.model_dump(mode="json") for name, study in studies.items()},
    }
    return tensors, facts
