"""Settings of the search, and of one among latents of a known prior."""

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from methods.base import MethodConfig
from methods.gan_search.descent import Allowed, anything, within_length

Positive = Annotated[int, Field(gt=0)]


class SearchConfig(MethodConfig):
    """Settings of the search; none of them touches what is fitted."""

    explain_only: ClassVar[frozenset[str]] = frozenset(
        {
            "mode",
            "distance",
            "confidence",
            "steps",
            "search_rate",
            "bisections",
            "least_weight",
            "bisection_steps",
            "greatest_weight",
            "restarts",
            "restart_noise",
            "frames",
        }
    )

    mode: Literal["criticism", "prototype"] = Field(
        "criticism", description="search for the target class, or for more confidence in the query's own (Sec. 3.1)"
    )
    distance: Literal["l1", "none"] = Field(
        "l1", description="what keeps an answer near its query (Eq. 2); none: as in the upper row of Fig. 4"
    )
    confidence: float = Field(
        0.9, ge=0, lt=1, description="probability of the target from which on a class counts as flipped (ours)"
    )
    steps: Positive = Field(40, description="of gradient descent in search of a flip (ours)")
    search_rate: float = Field(0.2, gt=0, description="Adam's at the start, falling to 0 by half a cosine (ours)")
    bisections: int = Field(4, ge=0, description="of the bracket of λ, at most (Sec. 3.2; the number is ours)")
    bisection_steps: Positive = Field(
        10, description="of gradient descent for each, from the best so far, at half the rate (ours)"
    )
    least_weight: float = Field(1.0, gt=0, description="lower end of the bracket of λ, intensities per nat (ours)")
    greatest_weight: float = Field(1e4, gt=0, description="upper end of the bracket of λ, intensities per nat (ours)")
    restarts: int = Field(
        0, ge=0, description="of a query that has not flipped, from its start and noise (Sec. 3.2: none)"
    )
    restart_noise: float = Field(1.0, ge=0, description="standard deviation of this noise, in units of L (ours)")
    frames: int = Field(8, ge=2, description="pictures that an optimisation path is kept as (Figs. 2-4 show about 10)")

    @model_validator(mode="after")
    def _bracket_is_one(self) -> Self:
        if self.least_weight > self.greatest_weight:
            raise ValueError(f"least_weight {self.least_weight:g} is above greatest_weight {self.greatest_weight:g}")
        return self

    @property
    def bisects(self) -> bool:
        """Whether λ matters: only where the class is weighed against a distance, for the smallest change."""
        return self.mode == "criticism" and self.distance == "l1"


class PriorSearchConfig(SearchConfig):
    """Settings of a search among latents of which a generator has learnt N(0, I)."""

    explain_only = SearchConfig.explain_only | {"radius"}

    confidence: float = Field(
        0.99, ge=0, lt=1, description="as in other searches, but surer: at .9 the oracles doubt more answers (ours)"
    )
    restarts: int = Field(
        6, ge=0, description="of a query that has not flipped, from its start and noise (Sec. 3.2: none)"
    )
    restart_noise: float = Field(1.5, ge=0, description="standard deviation of this noise; of the prior, 1 (ours)")
    radius: float | None = Field(
        1.25,
        gt=0,
        description="greatest length of L, in √(its numbers), the length that the prior draws; null: any (ours)",
    )

    def allowed(self, latent: int) -> Allowed:
        """Latents of length `latent` that may be answers."""
        return anything if self.radius is None else within_length(self.radius * math.sqrt(latent))
