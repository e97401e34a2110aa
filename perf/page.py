"""How quickly a page is made and shows itself in a browser, as shares of the goals; and a picture, for the README.

`python perf/page.py results/local/report.html [PICTURE.png]`, on an idle machine; needs chromium.
"""

import argparse
import shutil
import time
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmark.cli.publishing import fill_report, on_disk

GOALS = {"load event": 2000.0, "a step of the slider": 50.0, "size": 10e6, "making it": 15000.0}
"""Milliseconds, and bytes of the default run's page."""
STEPS = """() => {
  const taken = [];
  for (let step = 0; step < 12; step++) {
    const started = performance.now();
    moveTo((S.r + 1) % task().relaxations.length);
    document.body.offsetHeight; // so that the browser lays it out now
    taken.push(performance.now() - started);
  }
  return taken.sort((one, other) => one - other)[6];
}"""
COLOURS = 200
"""In the palette of the picture."""


def main(path: Path, picture: Path | None = None) -> None:
    """Open the page, measure, and draw it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 1340})
        page.goto(path.resolve().as_uri())
        while not page.evaluate("[...sheets.values()].every((image) => image.ready)"):
            page.wait_for_timeout(20)
        entry = "performance.getEntriesByType('navigation')[0].loadEventEnd"
        found = {"load event": page.evaluate(entry), "a step of the slider": page.evaluate(STEPS)}
        for name, taken in {**found, "size": path.stat().st_size, "making it": made(path.parent)}.items():
            print(f"{name}: {taken:.0f} = {taken / GOALS[name]:.2f} of its goal of {GOALS[name]:.0f}")
        if picture is not None:
            draw(page, picture)
        browser.close()


def made(results: Path) -> float:
    """Milliseconds to make the page of a results folder from its records."""
    preset = next(place.name for place in (results / "runs" / "records").iterdir())
    started = time.perf_counter()
    with TemporaryDirectory() as folder:
        fill_report(results, on_disk(results, preset), Path(folder), preset)
    return 1000 * (time.perf_counter() - started)


def draw(page: Page, picture: Path) -> None:
    """The table and, below it, the first pictures at full strength."""
    page.evaluate("moveTo(0)")
    page.evaluate("$('curve').hidden = true; document.querySelector('nav').hidden = true")
    image = Image.open(BytesIO(page.screenshot(full_page=False)))
    image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("page", type=Path, help="report.html in its results folder")
    parser.add_argument("picture", type=Path, nargs="?", help="a .png to write")
    given = parser.parse_args()
    if not (given.page.is_file() and any(given.page.parent.glob("runs/records/*"))):
        parser.error(f"{given.page} is no report.html beside the records of a run")
    if given.picture and not (given.picture.suffix == ".png" and given.picture.parent.is_dir()):
        parser.error(f"{given.picture} is no .png in a folder that is there")
    main(given.page, given.picture)
