"""Makes docs/gallery.md and its pictures from one run of each method on the digits.

    python docs/make_gallery.py

The runs lie in runs/exports/digits, those of exports/make.py: what is trained and evaluated is not made again, and what
was interrupted goes on. All eight take half an hour on two cores.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.cli import load_tensorflow

load_tensorflow()

from zoo import experiments
from zoo.experiments import configurations, evaluation
from zoo.experiments.run_directory import RunDirectory
from zoo.files import replacing
from zoo.metrics.names import named
from zoo.models import METHODS
from zoo.report.figures import save
from zoo.report.gallery.plot import plot

HERE = Path(__file__).parent
PAGE, PICTURES = HERE / "gallery.md", HERE / "gallery"
RUNS = Path("runs/exports/digits")
COLUMNS = {"elbo": 1, "rate": 2, "mutual_information": 2, "active_units": 0}

# The pictures in their order: figure, options, title on the page, and how to read it.
FIGURES: tuple[tuple[str, dict[str, int], str, str], ...] = (
    (
        "rate_distortion",
        {},
        "Rate and distortion",
        "What a method loses of the picture (distortion) against what its codes say (rate). Along a dashed line the "
        "ELBO is the same.",
    ),
    (
        "rate_per_unit",
        {},
        "Rates of the units",
        "The sixteen units of each model, from the one that says most to the one that says least. A unit at 0 is dead.",
    ),
    (
        "reconstructions",
        {"images": 20},
        "Reconstructions",
        "The same twenty test images, and what the mean of each one's posterior decodes to.",
    ),
    (
        "samples",
        {"images": 36},
        "Samples",
        "What codes from the prior decode to; the same codes for every model.",
    ),
    (
        "interpolation",
        {"images": 4},
        "Interpolations",
        "Straight walks between the means of two test images. The images themselves stand at both ends, and beside "
        "them their reconstructions. `--path spherical` takes the arc.",
    ),
    (
        "traversal",
        {"units": 16, "example": 17},
        "Traversals",
        "One test image, of which one unit at a time goes from −3 to 3 standard deviations of the prior. The units "
        "stand in the order of their rates; number and rate are at the left. In a row that hardly changes, the unit "
        "says next to nothing.",
    ),
)


def main() -> None:
    """Trains what is missing, draws the pictures, writes the page."""
    runs = {name: finished(name) for name in METHODS}
    PICTURES.mkdir(exist_ok=True)
    for figure, options, *_ in FIGURES:
        path = save(plot(figure, runs, **options), PICTURES / f"{figure}.png", dpi=110)
        shrink(path)
        print(path, flush=True)
    PAGE.write_text(page(runs), encoding="utf-8")
    print(PAGE)


def finished(name: str) -> RunDirectory:
    """The run of a method, trained and evaluated where it is not yet."""
    run = RunDirectory(HERE.parent / RUNS / name)
    print(f"digits/{name}", flush=True)
    if not run.model.is_file():
        experiments.train(configurations.load(f"digits/{name}"), run, resume=run.config.is_file())
    if not {*COLUMNS} <= {*run.figures("test")}:
        evaluation.evaluate(run.path, "test")
    return run


def shrink(path: Path) -> None:
    """Keeps 32 shades of a picture without colours, which nobody tells from all: a third of the bytes."""
    with Image.open(path) as picture:
        colours = np.asarray(picture.convert("RGB"))
    if (colours == colours[..., :1]).all():
        shades = Image.fromarray(colours[..., 0]).quantize(32, dither=Image.Dither.NONE)
        with replacing(path) as sibling:
            shades.save(sibling, format="png", optimize=True)


def page(runs: Mapping[str, RunDirectory]) -> str:
    """The whole page.

    Args:
        runs: method → its run, evaluated on the test split.
    """
    heads = [named(metric).titled for metric in COLUMNS]
    (examples,) = {run.figures("test")["elbo"]["examples"] for run in runs.values()}
    lines = [
        "# Gallery",
        "",
        "<!-- docs/make_gallery.py writes this page. -->",
        "",
        f"Every method on one network and one recipe (`configs/digits/`): scikit-learn's digits, {examples} test "
        "images, 16 latent units, 20 epochs, **one seed**.",
        "It shows what the methods do, not which one is best: for that there are [the results](results.md). "
        "[The guide to the methods](methods.md) says when to use which.",
        "",
        f"| method | what it does | {' | '.join(heads)} |",
        f"|---|---|{'---:|' * len(heads)}",
        *(f"| `{name}` | {METHODS[name].summary} | {' | '.join(cells(run))} |" for name, run in runs.items()),
        "",
        "Behind ± stands the standard error over test images; it says nothing of other seeds. "
        f"No estimate of the mutual information can exceed log {examples} = {math.log(examples):.2f}.",
        "The ELBO is −distortion − rate for all of them, also where a method trains on another bound.",
        "",
    ]
    for figure, options, title, text in FIGURES:
        given = "".join(f" --{option} {value}" for option, value in options.items())
        command = f"zoo plot {figure} {RUNS}/*/{given}"
        lines += [f"## {title}", "", text, "", f"![{title}](gallery/{figure}.png)", "", f"```\n{command}\n```", ""]
    lines += [
        "`python docs/make_gallery.py` trains what is missing, and makes this page. "
        "Each figure works for runs of one's own: `zoo plot --list`.",
        "",
    ]
    return "\n".join(lines)


def cells(run: RunDirectory) -> list[str]:
    """A run's figures for the table, with standard errors where they are known."""
    found = run.figures("test")
    texts = []
    for metric, digits in COLUMNS.items():
        value, error = found[metric]["value"], found[metric].get("error")
        spread = f" ± {error:.{digits}f}" if error else ""
        texts.append(f"{value:.{digits}f}{spread}".replace("-", "−"))
    return texts


if __name__ == "__main__":
    main()
