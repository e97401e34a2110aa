import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from benchmark.papers import PAPERS, load
from benchmark.papers.pages import write_pages
from benchmark.report.cells import Results
from benchmark.report.latex import HEIGHT, escaped, tabulars
from benchmark.report.narrow import narrow
from benchmark.report.tables import tables, write_tables
from methods.base import Study
from metrics import METRICS

METHODS = (
    "vaex",
    "vaex-cat",
    "gan-search",
    "gan-search-bank",
    "hybrid",
    "hybrid-gan",
    "dvae",
    "dvae-single",
    "dvae-all",
)
PAGE = r"""\documentclass{article}
\usepackage{booktabs,graphicx}
\begin{document}
%s
\end{document}
"""


@pytest.fixture
def compile_latex(tmp_path):
    """Compiles texts, a page each, in one call of pdflatex: texts -> its log."""
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex: apt-get install texlive-latex-base texlive-latex-recommended")

    def run(texts):
        (tmp_path / "page.tex").write_text(PAGE % "\n\\clearpage\n".join(texts), encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-file-line-error", "page.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=500)
        log = (tmp_path / "page.log").read_text(encoding="utf-8", errors="replace")
        assert done.returncode == 0, re.findall(r"^.*page\.tex:\d+:.*$", log, re.MULTILINE)
        return log

    return run


@pytest.fixture
def results(make_record, make_row):
    """Nine methods and two references on five tasks under three seeds, with every metric and a strange study."""
    study = Study(
        title="x̃ → φ",
        axes=None,
        rows=[{"x̃_1": "100 % & more", "ψ ≥ β": 1.5, "note": "a sentence that is far too long for a cell " * 3}] * 60,
    )
    data = make_record().data | {"shape": [1, 28, 28]}
    rows = [make_row(name, 0.95) for name in ("classifier_accuracy", "oracle_accuracy")]
    rows += [make_row(name, 0.5, 0.0 if metric.per_relaxation else None) for name, metric in METRICS.items()]
    return Results.of(
        make_record(
            name, seed, task, data=data, rows=rows, relaxations=(0.0,), studies={} if seed else {"strange": study}
        )
        for task in ("mnist", "mnist/3-8", "avatars/Smiling", "avatars/Eyeglasses", "avatars/Young")
        for seed in range(3)
        for name in (*METHODS, "null", "nearest-unlike")
    )


def test_every_table_compiles_and_fits(compile_latex, tmp_path, results):
    """Whatever a run writes as LaTeX, its papers' tables too, compiles in a plain article, and no line overflows."""
    write_tables(results, tmp_path, formats=["tex"])
    for name in PAPERS:
        write_pages(results, tmp_path / "runs", tmp_path, [name], ["tex"])
    files = sorted((tmp_path / "tables").glob("*.tex"))
    assert {"summary.tex", "strange-mnist.tex"} <= {file.name for file in files}
    assert sum(len(load(name).tables) for name in PAPERS) == len([f for f in files if f.name.startswith("paper-")])
    log = compile_latex([file.read_text(encoding="utf-8") for file in files])
    assert "Overfull" not in log


def test_narrow_table_compiles_without_shrinking(compile_latex, results):
    """A narrow table compiles and fits, in bold where a method is best."""
    text = narrow(results.on("mnist"), ["flip_rate", "oracle_agreement", "l1", "mse"]).latex()
    assert text.count(r"\begin{tabular}") == 1
    assert r"\textbf{" in text
    assert "Overfull" not in compile_latex([text])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x̃_1", r"\~{x}\_1"),
        ("97 % ± 0.1", r"97 \% $\pm$ 0.1"),
        ("φ ψ Ω β → ↑", r"$\varphi$ $\psi$ $\Omega$ $\beta$ $\rightarrow$ $\uparrow$"),
        ("−1 × 2 ≤ ∞", r"$-$1 $\times$ 2 $\leq$ $\infty$"),
        (r"\{a}~^#&$", r"\textbackslash{}\{a\}\textasciitilde{}\textasciicircum{}\#\&\$"),
        ("**97.0 %**", r"\textbf{97.0 \%}"),
        ("75.0 *", "75.0 $*$"),
        ("é", "é"),
        ("☃", "U+2603"),
    ],
)
def test_characters(text, expected):
    """A character is what LaTeX writes for it; one that it has no glyph of is named."""
    assert escaped(text) == expected


def test_wide_and_long_tables_are_in_parts():
    """No cell is lost where a table is too wide or long for a page, and each part repeats task and method."""
    cells = pd.DataFrame(
        {"task": "t", "method": [f"m{row}" for row in range(HEIGHT + 5)]}
        | {f"column {name}": [f"{name}-{row} and 20 more" for row in range(HEIGHT + 5)] for name in range(9)}
    )
    text = tabulars(cells, below=2)
    parts = text.split(r"\begin{tabular}")[1:]
    assert len(parts) > 2
    assert all("task & method & column" in part for part in parts)
    assert all(f"{name}-{row} and" in text for name in range(9) for row in range(HEIGHT + 5))
    assert sum(part.count(r"\midrule") for part in parts) == len(parts) + len(parts) // 2


def test_an_empty_table_is_a_heading():
    """A table without rows has its heading."""
    assert "a & b" in tabulars(pd.DataFrame(columns=["a", "b"]))


# -- the narrow table --------------------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path, make_record):
    """A metrics.csv of two methods and a reference."""
    flips = {"vaex": 0.75, "vaex-cat": 0.5, "nearest-unlike": 1.0}
    records = Results.of(make_record(name, seed, flips=rate) for seed in (0, 1) for name, rate in flips.items())
    records.numbers.to_csv(tmp_path / "metrics.csv", index=False)
    return tmp_path / "metrics.csv"


def test_best_is_bold_and_references_do_not_compete(cli, source):
    """The best method of each column is bold, ties too; a reference that is better is not, and stands apart."""
    shown = cli("table", "--metrics", "flip_rate,l1,l2", "--from", source)
    assert (shown.code, len(shown.complaints)) == (2, 1)
    shown = cli("table", "--metrics", "flip_rate,l1", "--from", source).out
    rows = {
        line.split("|")[1].strip(): [part.strip() for part in line.split("|")[2:-1]]
        for line in shown.splitlines()
        if "| " in line
    }
    assert rows["method"] == ["n", "flip rate % ↑", "oracle agreement % ↑", "L1 ↓"]
    assert rows["vaex"] == ["100", "**75.0 ± 0.0**", "**37.5 ± 0.0**", "**0.1000 ± 0.0000**"]
    assert rows["vaex-cat"] == ["100", "50.0 ± 0.0", "25.0 ± 0.0", "**0.1000 ± 0.0000**"]
    assert rows["nearest-unlike"] == ["100", "100.0 ± 0.0", "50.0 ± 0.0", "0.1000 ± 0.0000"]
    assert shown.index("References") < shown.index("nearest-unlike")


def test_several_relaxations_are_columns(cli, source):
    """Several values of r are columns each of what depends on it; of the rest there is one; csv has no bold."""
    shown = cli("table", "--metrics", "l1,mse", "--r", "0,1", "--format", "csv", "--from", source).out
    assert shown.splitlines()[0] == "method,n,L1 ↓ (r = 0),MSE ↓,L1 ↓ (r = 1),reference"
    assert "*" not in shown


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ("--metrics l7", "unknown metric"),
        ("--r 0.5", "r = 0, 1"),
        ("--format pdf", "'latex'"),
        ("--methods x", "known"),
    ],
)
def test_mistakes_are_one_line(cli, source, arguments, word):
    """A mistake is one line that names the way out, and exit code 2."""
    outcome = cli("table", *arguments.split(), "--from", source)
    assert (outcome.code, outcome.out, len(outcome.complaints)) == (2, "", 1)
    assert word in outcome.err


def test_what_is_published_compiles(compile_latex):
    """The tables of the published numbers compile and fit."""
    from benchmark.report.numbers import read_numbers  # noqa: PLC0415

    path = Path(__file__).parents[3] / "results" / "metrics.csv"
    assert "Overfull" not in compile_latex([table.latex() for table in tables(read_numbers(path))])
