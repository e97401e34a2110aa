"""What a user can put right, said in one line."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that steer a terminal, or turn what follows around, instead of being read."""


STRANGE: tuple[type[BaseException], ...] = (Exception, SystemExit)
"""What code of a stranger's may raise; only Ctrl-C goes through."""


class UserError(Exception):
    """A mistake that its message tells how to mend: printed as one line, exit code 2, no traceback."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a `name` that is not among the `known` ones, with the nearest spelling first."""
    known = sorted(known)
    nearest = get_close_matches(name, known, n=1)
    hint = f"; did you mean '{nearest[0]}'?" if nearest else ""
    there = f"known: {', '.join(known)}" if known else "there are none"
    return UserError(f"unknown {kind} '{name}'{hint} ({there})")


def reason_of(error: BaseException) -> str:
    """Why something failed, in one line: the message of what a user can put right, with its type that of others."""
    if isinstance(error, SystemExit):
        return "its code ends the program (sys.exit, exit or quit); take that out"
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def readable(text: str) -> str:
    r"""`text` for a terminal: what would steer it is written as its code, as in \x1b."""
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
