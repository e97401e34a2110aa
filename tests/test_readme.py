from pathlib import Path

ROOT = Path(__file__).parent.parent
SHOWN = ("flip-rate-mnist", "summary")


def test_readme_shows_what_the_program_wrote():
    """The tables in the README are those in results/tables, to the letter."""
    _, _, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- tables -->\n")
    block, end, _ = rest.partition("<!-- end of tables -->")
    tables = ROOT / "results" / "tables"
    written = "\n".join((tables / f"{name}.md").read_text(encoding="utf-8") for name in SHOWN)
    assert end
    assert block.strip() == written.strip()


def test_readme_shows_the_test_command_that_ci_calls():
    """CI installs and runs what the README tells a newcomer to."""
    command = "python -m pip install tox && tox"
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")
    called = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert set(command.split(" && ")) <= set(called)
