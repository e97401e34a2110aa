"""The page as one file: template, style and script filled in, and a policy that forbids every request."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmark.records.record import Record
from benchmark.report.page import made
from benchmark.report.page.chapters import Chapter
from benchmark.report.page.data import collect
from methods.files import write_whole

HERE = Path(__file__).parent
NAME = "report.html"
FILES = ("base.html.j2", "page.html.j2", "page.css", "page.js")
"""What a page is filled into; these decide how it looks, as code does."""


def write_page(
    records: Sequence[Record], runs: Path, folder: Path, chapters: Sequence[Chapter] = (), command: str = ""
) -> Path:
    """Write `report.html` of `records`, whose artefacts are in `runs`; `command` makes them again."""
    how = {"command": command, "parts": made.parts(records)}
    path = folder / NAME
    data = collect(records, runs)
    filled = fill("page", _title([task["name"] for task in data["tasks"]]), data, chapters=chapters, made=how)
    write_whole(path, filled.encode())
    return path


def _title(tasks: Sequence[str]) -> str:
    return (
        f"Counterfactuals of {', '.join(tasks[:3])}{' and more' if len(tasks) > 3 else ''}" if tasks else "No results"
    )


def fill(name: str, title: str, data: Mapping[str, Any], **parts: Any) -> str:  # noqa: ANN401 - what a template takes
    """The page called `name`, with its style and script, and `data` for the latter."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    style, script = (_text(HERE / file) for file in ("page.css", f"{name}.js"))
    return environment.get_template(f"{name}.html.j2").render(
        title=title,
        data=data,
        json=Markup(as_json(data)),  # noqa: S704 - no tag can begin in it
        style=Markup(style),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        style_hash=digest(style),
        script_hash=digest(script),
        **parts,
    )


def _text(path: Path) -> str:
    """A file of the package; nothing, where a page needs none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def as_json(data: Mapping[str, Any]) -> str:
    """Data as JSON in which no tag can begin or end; what is not finite is refused."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def digest(text: str) -> str:
    """What a content-security policy calls a script or a style by."""
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
