"""What bad input is made of: nasty text, damage to files, a network of a user's."""

import re
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e\u2066-\u2069]")
"""What steers a terminal instead of being read."""
NASTY = [
    "", " ", ",", "-1", "0", "nan", "1e999", "9" * 400, "/etc/passwd", "all,all", "null", "{}", "[]",
    '{"a":', "a\nb", "a\rb", "\x1b[31mred", "\u202etxt", "☃", "ﬁ", "<script>alert(1)</script>", "';--", "$(id)", "%s%n",
    "mnist/" + "x" * 300, "mnist/0-0", "mnist/3-8-3", "mnist/../mnist", "CON", "*", "a=b",
    "vaex.", ".epochs=1",
]  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
VALUES = st.sampled_from(NASTY) | TEXT | st.integers().map(str) | st.floats().map(str)


def times(count):
    """So many examples, the same in every run."""
    unharmed = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=unharmed)


@dataclass(frozen=True)
class Damage:
    """What becomes of a file: cut, one byte changed, or other bytes altogether."""

    place: float
    byte: int
    kind: str
    other: bytes

    def of(self, content):
        place = int(self.place * len(content))
        if self.kind == "cut":
            return content[:place]
        if self.kind == "other":
            return self.other
        return content[:place] + bytes([self.byte]) + content[place + 1 :]


DAMAGE = st.builds(
    Damage,
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 255),
    st.sampled_from(["cut", "byte", "other"]),
    st.binary(max_size=200) | st.sampled_from([text.encode() for text in NASTY]),
)
SIDE, CLASSES = 16, ("blue", "red")
CODE = """
from torch import nn


def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
"""
