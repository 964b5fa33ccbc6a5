"""Figures: what is drawn equals what was given, and every name works from runs through the command line."""

import itertools
import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.patches import Circle
from matplotlib.quiver import Quiver
from PIL import Image
from scipy.stats import chi2
from sklearn.decomposition import PCA

from zoo import cli, experiments, metrics
from zoo.data import load
from zoo.domains.pictures import grid
from zoo.experiments import configurations
from zoo.experiments.evaluation import evaluate
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.report import figures
from zoo.report.figures.curves import MOST_NAMED
from zoo.report.gallery.curves import information_by_size
from zoo.report.gallery.plot import FIGURES, OF_IMAGES, OF_ONE, WITHOUT_MODEL, plot
from zoo.report.gallery.runs import data_set, labelled, model_of, same_but_for_seed, sample

pytestmark = pytest.mark.slow


RNG = np.random.default_rng(0)
CODES = RNG.standard_normal((40, 5)) * [3, 2, 1, 0.5, 0.1]
SMALL = ["model.network={name: mlp, width: 8, depth: 1}", "data.train=train[:128]", "train.epochs=2"]


def lines(axis):
    return {line.get_label(): line.get_xydata() for line in axis.lines}


def dots(axis):
    return [np.asarray(found.get_offsets()) for found in axis.collections if not isinstance(found, Quiver)]


# ── A map of images ──────────────────────────────────────────────────────────────────────────────────────────────


def centres(rows, columns):
    down, right = np.divmod(np.arange(rows * columns), columns)
    return np.stack([(right + 0.5) / columns, 1 - (down + 0.5) / rows], axis=1)


def test_points_on_a_grid_keep_their_cells():
    order = RNG.permutation(30)
    # In any unit: stretched, shifted.
    points = centres(5, 6)[order] * [60, 0.2] - [7, 3]
    np.testing.assert_array_equal(figures.cells(points, 5, 6), order)


def test_cells_cost_the_least_of_all_arrangements():
    for _ in range(20):
        points = RNG.standard_normal((4, 2))
        unit = (points - points.min(axis=0)) / np.ptp(points, axis=0)
        arrangements = np.array([*itertools.permutations(range(6), 4)])
        costs = ((unit - centres(2, 3)[arrangements]) ** 2).sum(axis=(1, 2))
        np.testing.assert_array_equal(figures.cells(points, 2, 3), arrangements[costs.argmin()])


def test_every_image_has_a_cell_of_its_own():
    found = figures.cells(np.zeros((20, 2)), 5, 4)
    np.testing.assert_array_equal(np.sort(found), np.arange(20))
    with pytest.raises(ValueError, match="21 of them, but 5×4 cells"):
        figures.cells(np.zeros((21, 2)), 5, 4)
    with pytest.raises(ValueError, match="finite"):
        figures.cells(np.full((2, 2), np.nan), 5, 4)


def test_the_map_shows_each_image_in_its_cell():
    images = RNG.integers(0, 256, (7, 4, 4, 1)).astype("uint8")
    points = RNG.standard_normal((7, 2))
    (axis,) = figures.image_map(images, {"run": points}).axes
    picture = np.asarray(axis.images[0].get_array())
    assert picture.shape == (16, 16)
    for image, cell in zip(images, figures.cells(points, 3, 3), strict=True):
        top, left = 5 * (cell // 3) + 1, 5 * (cell % 3) + 1
        np.testing.assert_array_equal(picture[top : top + 4, left : left + 4], image[..., 0])


# ── Codes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_plane_of_codes():
    np.testing.assert_array_equal(figures.plane(CODES[:, :2]), CODES[:, :2])
    expected = PCA(2).fit_transform(CODES)
    placed = figures.plane(CODES, "pca")
    np.testing.assert_allclose(placed * np.sign((placed * expected).sum(axis=0)), expected, atol=1e-9)
    assert not figures.plane(np.full((9, 4), 0.1)).any()
    np.testing.assert_array_equal(figures.plane(CODES[:, :1]), CODES[:, :2] * [1, 0])
    one, again = (figures.plane(CODES, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    # The codes of a collapsed encoder differ by little, and their neighbours are as good.
    np.testing.assert_allclose(figures.plane(1e-6 * CODES, seed=7), one, atol=0.05 * np.ptp(one))


@pytest.mark.parametrize(
    ("codes", "projection", "message"),
    [
        (CODES, "tnse", "did you mean 'tsne'"),
        (np.where(np.arange(5) == 2, np.nan, CODES), "pca", "40 of 40 are not finite"),
        (CODES[:2], "tsne", "at least 3 images"),
    ],
)
def test_codes_that_have_no_plane(codes, projection, message):
    with pytest.raises(ValueError, match=message):
        figures.plane(codes, projection)


def test_classes_are_drawn_where_their_codes_lie():
    labels = np.arange(40) % 3
    figure = figures.tsne({"a": (CODES[:, :2], labels), "b": (CODES[:, :2], None)})
    named, plain = figure.axes
    for label, drawn in zip(range(3), dots(named), strict=True):
        np.testing.assert_allclose(drawn, CODES[labels == label, :2])
    assert [text.get_text() for text in named.texts] == ["0", "1", "2"]
    assert len({tuple(found.get_paths()[0].vertices.ravel()) for found in named.collections}) == 3
    np.testing.assert_allclose(dots(plain)[0], CODES[:, :2])
    # Colours tell classes apart, and are the same wherever a class is drawn; those of few codes are in the legend too.
    assert len({tuple(found.get_facecolor()[0]) for found in named.collections}) == 3
    assert [text.get_text() for text in figure.legends[0].texts] == ["0", "1", "2"]
    names = np.array(["a", "a name that would cover the dots", "c"])[labels]
    figure = figures.tsne({"all": (CODES[:, :2], names), "last": (CODES[labels == 2, :2], names[labels == 2])})
    assert [text.get_text() for text in figure.legends[0].texts] == [*np.unique(names)]
    first, second = figure.axes
    assert [*first.texts] == []  # One name is too long, and the others alone would say that it is not there.
    np.testing.assert_array_equal(first.collections[2].get_facecolor(), second.collections[0].get_facecolor())
    with pytest.raises(ValueError, match=r"labels: 3 of them for 40 codes \(a\)"):
        figures.tsne({"a": (CODES, labels[:3])})


def test_arrows_go_from_image_to_transformation():
    start, end = CODES[:, :2], CODES[:, :2] + [0.3, -0.4]
    (axis,) = figures.arrows({"run": (start, end)}).axes
    (arrows,) = (found for found in axis.collections if isinstance(found, Quiver))
    np.testing.assert_allclose(arrows.XY, start)
    np.testing.assert_allclose(np.stack([arrows.U, arrows.V], axis=1), end - start)
    np.testing.assert_allclose(dots(axis), [start, end])
    distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(start, 2)]
    assert f"mean shift {0.5 / np.mean(distances):.2f} " in axis.get_title()
    with pytest.raises(ValueError, match=r"\(40, 2\) codes of images, \(39, 2\) of transformations"):
        figures.arrows({"run": (start, end[:-1])})


def test_data_and_noise_with_the_circles_of_their_priors():
    (axis,) = figures.data_and_noise({"run": (CODES[:30, :2], CODES[30:, :2])}, (1.0, 4.0)).axes
    for layers, codes in ((dots(axis)[::2], CODES[:30, :2]), (dots(axis)[1::2], CODES[30:, :2])):
        np.testing.assert_allclose(sorted(np.concatenate(layers).tolist()), sorted(codes.tolist()))
    radii = [patch.radius for patch in axis.patches if isinstance(patch, Circle)]
    np.testing.assert_allclose(radii, np.sqrt(chi2(2).ppf(0.95)) * np.array([1.0, 4.0]))


def test_codes_in_a_plane_of_many_dimensions_keep_their_distance_from_the_origin():
    directions = np.linalg.qr(RNG.standard_normal((6, 2)))[0].T
    flat = CODES[:, :2] + 5
    (axis,) = figures.data_and_noise({"run": (flat[:30] @ directions, flat[30:] @ directions)}).axes
    drawn = np.linalg.norm(np.concatenate(dots(axis)), axis=1)
    np.testing.assert_allclose(np.sort(drawn), np.sort(np.linalg.norm(flat, axis=1)))
    with pytest.raises(ValueError, match="1 of 40 are not finite"):
        figures.data_and_noise({"run": (np.concatenate([CODES[:29], [[np.inf] * 5]]), CODES[30:])})


# ── Curves ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_seeds_are_drawn_as_their_mean_with_a_band():
    seeds = [(np.array([1, 2, 3]), np.array([1.0, 2.0, 9.0])), (np.array([1, 3]), np.array([3.0, 5.0]))]
    figure = figures.history({"rate": {"two": seeds, "one": seeds[:1]}}, bounds={"rate": ("log n", 9.5)})
    (axis,) = figure.axes
    drawn = lines(axis)
    # The second seed has no epoch 2.
    np.testing.assert_allclose(drawn["two"], [[1, 2], [3, 7]])
    np.testing.assert_allclose(drawn["one"], [[1, 1], [2, 2], [3, 9]])
    (band,) = axis.collections
    assert {*map(tuple, band.get_paths()[0].vertices)} == {(1, 1), (1, 3), (3, 5), (3, 9)}
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("epoch", "rate / nats")
    assert [*axis.lines[2].get_ydata()] == [9.5, 9.5]
    legend = ["two", "one", "validation", "from least to greatest"]
    assert [text.get_text() for text in figure.legends[0].texts] == legend
    styles = [(line.get_color(), line.get_marker()) for line in axis.lines[:2]]
    assert styles[0][0] != styles[1][0] and styles[0][1] != styles[1][1]


def test_training_is_dashed_beside_validation():
    epochs = np.array([1, 2])
    held_out = {"rate": {"run": [(epochs, np.array([1.0, 2.0]))]}}
    training = {
        "rate": {"run": [(epochs, np.array([3.0, 4.0]))]},
        "learning_rate": {"run": [(epochs, np.array([0.1, 0.1]))]},
    }
    figure = figures.history(held_out, training=training)
    rate, learning_rate = figure.axes
    assert [[*line.get_ydata()] for line in rate.lines] == [[1, 2], [3, 4]]
    assert [line.get_linestyle() for line in rate.lines] == ["-", "--"]
    assert len({line.get_color() for line in rate.lines}) == len({line.get_marker() for line in rate.lines}) == 1
    assert [line.get_linestyle() for line in learning_rate.lines] == ["--"]
    assert [text.get_text() for text in figure.legends[0].texts] == ["run", "validation", "training"]


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_epochs_have_whole_ticks(count):
    epochs = np.arange(1, count + 1)
    figure = figures.history({"active_units": {"run": [(epochs, np.full(count, 3.0))]}})
    figure.draw_without_rendering()
    (axis,) = figure.axes
    for ticks, (low, high) in ((axis.get_xticks(), axis.get_xlim()), (axis.get_yticks(), axis.get_ylim())):
        shown = [tick for tick in ticks if low <= tick <= high]
        assert shown and all(float(tick).is_integer() for tick in shown)


# ── What all figures share ───────────────────────────────────────────────────────────────────────────────────────


def test_long_names_are_not_cut_off_and_do_not_meet():
    long = "mnist/contrastive-with-gamma=0.5-temperature=0.07-queue=4096-and-clipped-gradients-seed"
    images = RNG.random((4, 6, 6, 1))
    for figure in (
        figures.tsne({f"{long}{i}": (CODES[:, :2], np.arange(40) % 2) for i in range(3)}),
        figures.samples({f"{long}{i}": images for i in range(3)}),
        figures.traversal(
            {f"{long}{i}": images[None] for i in range(3)}, np.arange(4), {f"{long}{i}": ["0: 1.00"] for i in range(3)}
        ),
        figures.image_rows({f"{long}{long}": images}, title=f"{long}{long}"),
        figures.portrait({long: images}, np.ones(3), f"{long}{long}"),
        figures.history({"rate": {f"{long}{long}{i}": [(np.array([1]), np.array([1.0]))] for i in range(2)}}),
    ):
        figures.noted(figure, f"{long}: n = 4, {long}")
        figure.draw_without_rendering()
        above = [axis.title if axis.title.get_text() else axis._left_title for axis in figure.axes]
        words = [*above, *figure.texts, *(text for legend in figure.legends for text in legend.texts)]
        boxes = [text.get_window_extent() for text in words if text.get_text()]
        assert len(boxes) > 1
        for box in boxes:
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_panels_that_are_compared_have_one_scale():
    codes = CODES[:, :2]
    for figure in (
        figures.tsne({"a": (codes, None), "b": (3 * codes + 5, None)}),
        figures.arrows({"a": (codes, codes + 1), "b": (0.1 * codes, 0.1 * codes + 1)}),
        figures.data_and_noise({"a": (codes, codes + 1), "b": (7 * codes, codes)}),
    ):
        figure.draw_without_rendering()
        one, other = figure.axes
        assert one.get_xlim() == other.get_xlim() and one.get_ylim() == other.get_ylim()
        assert one.get_window_extent().width == pytest.approx(other.get_window_extent().width)
        assert np.ptp(one.get_xlim()) == pytest.approx(np.ptp(one.get_ylim()))
        # Of data and noise, one in two hundred may lie outside.
        every = np.concatenate([found for axis in figure.axes for found in dots(axis)])[:, 0]
        low, high = one.get_xlim()
        assert np.mean((every >= low) & (every <= high)) >= 0.99
    left, right = figures.information_by_samples([9], {"a": np.ones((1, 1))}, {"a": np.full((1, 1), 7.0)}).axes
    assert left.get_ylim() == right.get_ylim()


def test_rate_and_distortion_are_dots_around_their_mean_on_lines_of_one_elbo():
    (axis,) = figures.rate_distortion({"two": [(1.0, 80.0), (3.0, 90.0)], "one": [(12.0, 70.0)]}).axes
    drawn = [np.stack(line.get_data(), axis=1) for line in axis.lines]
    bounds = [points for points, line in zip(drawn, axis.lines, strict=True) if line.get_linestyle() == "--"]
    np.testing.assert_allclose(drawn[0], [[1, 80], [3, 90]])
    np.testing.assert_allclose(lines(axis)["two"], [[2, 85]])
    np.testing.assert_allclose(lines(axis)["one"], [[12, 70]])
    sums = [points.sum(axis=1) for points in bounds]
    assert len(sums) > 3 and all(one == pytest.approx(other) for one, other in sums)
    # Each is called by its ELBO.
    assert [float(text.get_text().replace("−", "-")) for text in axis.texts] == pytest.approx([-one for one, _ in sums])
    with pytest.raises(ValueError, match="no point to draw"):
        figures.rate_distortion({})


def test_rates_fall_from_left_to_right():
    (axis,) = figures.rate_per_unit({"run": np.array([0.5, 2.0, 0.0])}).axes
    np.testing.assert_allclose(lines(axis)["run: 2.50 nats"], [[1, 2.0], [2, 0.5], [3, 0.0]])


def test_information_by_size_is_that_of_the_metrics():
    loc, scale = CODES, np.full_like(CODES, 0.3)
    found = information_by_size(loc, scale, [10, 40], seed=3, subsets=2)
    for subset in range(2):
        rows = np.random.default_rng((3, subset)).permutation(40)
        for column, size in enumerate((10, 40)):
            of = rows[:size]
            expected = metrics.decompose_rate(loc[of], scale[of], seed=3 + subset)
            np.testing.assert_allclose(found[:, subset, column], expected)
    left, right = figures.information_by_samples([10, 40], {"run": found[0]}, {"run": found[1]}).axes
    np.testing.assert_allclose(lines(left)["run"][:, 1], found[0].mean(axis=0))
    np.testing.assert_allclose(lines(right)["run"][:, 1], found[1].mean(axis=0))
    bound = lines(left)["log N, the bound"]
    np.testing.assert_allclose(bound[:, 1], np.log(bound[:, 0]))
    np.testing.assert_allclose(bound[[0, -1], 0], [10, 40])


# ── Files ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_file_is_the_same_every_time_and_whole(tmp_path, ending):
    written = []
    for name in ("one", "two"):
        figure = figures.tsne({"a": (CODES[:, :2], np.arange(40) % 3)})
        written.append(figures.save(figure, tmp_path / f"{name}.{ending}").read_bytes())
    assert written[0] == written[1]
    assert len([*tmp_path.iterdir()]) == 2


def test_other_files_are_refused(tmp_path):
    figure = figures.rate_per_unit({"run": np.ones(3)})
    with pytest.raises(ValueError, match=r"a\.jpg: a figure is written as \.png, \.svg, \.pdf"):
        figures.save(figure, tmp_path / "a.jpg")
    assert not [*tmp_path.iterdir()]


def test_an_svg_stands_in_a_page_on_its_own():
    dense = RNG.standard_normal((3000, 2))
    text = figures.svg(figures.tsne({"run <1>": (dense, None)}))
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    # Text is text, many dots are pixels, and nothing is fetched.
    assert "run &lt;1&gt;</text>" in text
    assert len(text) < 300_000 and "data:image/png;base64" in text
    links = re.findall(r'(?:href|src)="(.{10})|url\((.)', text)
    assert all(link.startswith(("data:image", "#")) for pair in links for link in pair if link)


# ── From runs ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Three runs on digits (two seeds of one configuration), and two that were only begun, on other data."""
    folder = tmp_path_factory.mktemp("runs")
    made = {
        "vae-seed0": ("digits/vae", []),
        "vae-seed1": ("digits/vae", ["train.seed=1"]),
        "noise-seed0": ("digits/noise_contrastive", []),
    }
    for name, (configuration, more) in made.items():
        experiment = configurations.load(configuration, [*SMALL, *more])
        experiments.train(experiment, RunDirectory(folder / name), quiet=True)
        evaluate(folder / name, "test", only=("terms",))
    RunDirectory.create(folder / "begun", configurations.load("digits/vae"))
    RunDirectory.create(folder / "other", configurations.load("gaussians/vae"))
    return folder


@pytest.fixture
def command(capsys, monkeypatch, tmp_path):
    def call(*arguments):
        """(exit code, standard output, standard error) of `zoo plot`, in an empty folder."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["zoo", "plot", *map(str, arguments)])
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as leaving:
            code = leaving.code or 0
        return code, *capsys.readouterr()

    return call


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_of_a_run_and_of_several(command, trained, tmp_path, name):
    few = [] if name in WITHOUT_MODEL else ["--units" if name == "traversal" else "--images", 6]
    code, out, _ = command(name, trained / "vae-seed0", *few)
    assert (code, out) == (0, f"{name}.png\n")
    assert np.asarray(Image.open(tmp_path / f"{name}.png").convert("L")).std() > 1
    if name in OF_ONE:
        code, _, err = command(name, trained / "vae-seed0", trained / "vae-seed1")
        assert code == 2 and "one run, got 2: vae-seed0, vae-seed1" in err
        return
    code, out, _ = command(name, trained / "vae-seed0", trained / "noise-seed0", *few, "--to", "both.svg")
    assert (code, out) == (0, "both.svg\n")
    text = (tmp_path / "both.svg").read_text()
    assert "vae-seed0" in text and "noise-seed0" in text


def test_the_list_has_a_line_for_each_figure(command):
    for arguments in ([], ["--list"]):
        code, out, err = command(*arguments)
        assert (code, err) == (0, "")
        assert [line.split()[0] for line in out.splitlines()] == [*FIGURES]
    code, out, err = command("tsn", "nowhere")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and "no figure 'tsn'; did you mean 'tsne'?" in err


MISTAKES = {
    "no run": (["tsne"], "needs the directory of a run"),
    "not a run": (["tsne", "nowhere"], "nowhere: not the directory of a run"),
    "twice": (["tsne", "RUNS/vae-seed0", "RUNS/vae-seed0"], "is given twice"),
    "no model": (["samples", "RUNS/begun"], "has no trained model yet"),
    "no epoch": (["history", "RUNS/begun"], "has not finished an epoch yet"),
    "two data sets": (["history", "RUNS/vae-seed0", "RUNS/other"], "vae-seed0 (digits), other (gaussians)"),
    "split": (["tsne", "RUNS/vae-seed0", "--split", "tets"], "did you mean 'test'"),
    "split of a history": (["history", "RUNS/vae-seed0", "--split", "test"], "one of: train, validation"),
    "images": (["tsne", "RUNS/vae-seed0", "--images", "0"], "--images"),
    "two images": (
        ["tsne", "RUNS/vae-seed0", "--images", "2"],
        "images: tsne needs at least 3 of the test split, got 2",
    ),
    "two images of a map": (["grid", "RUNS/vae-seed0", "--images", "2"], "images: grid needs at least 3"),
    "one arrow": (["arrows", "RUNS/vae-seed0", "--images", "1"], "arrows needs at least 2 of the test split, got 1"),
    "metric": (["history", "RUNS/vae-seed0", "--metric", "ratte"], "did you mean 'rate'"),
    "unit": (["traversal", "RUNS/vae-seed0", "--unit", "16"], "the units of vae-seed0 are 0 to 15"),
    "unit and units": (["traversal", "RUNS/vae-seed0", "--unit", "1", "--units", "2"], "give one of them"),
    "images without unit": (["traversal", "RUNS/vae-seed0", "--images", "3"], "images: of a traversal go with unit"),
    "example": (["traversal", "RUNS/vae-seed0", "--example", "300"], "those of the test split are 0 to 299"),
    "path": (["interpolation", "RUNS/vae-seed0", "--path", "sperical"], "did you mean 'spherical'"),
    "plural": (["traversals", "RUNS/vae-seed0"], "did you mean 'traversal'"),
    "option": (["samples", "RUNS/vae-seed0", "--split", "test"], "samples does not take 'split'"),
    "projection": (["arrows", "RUNS/vae-seed0", "--projection", "umap"], "one of: pca, tsne"),
    "ending": (["samples", "RUNS/vae-seed0", "--to", "a.gif"], ".png, .svg, .pdf"),
    "folder": (["samples", "RUNS/vae-seed0", "--to", "no/a.png"], "no such folder no"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line(command, trained, tmp_path, mistake):
    arguments, expected = MISTAKES[mistake]
    code, out, err = command(*(word.replace("RUNS", str(trained)) for word in arguments))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("zoo: ") and expected in err
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", OF_IMAGES)
def test_a_table_has_no_images_to_show(command, tmp_path, name):
    RunDirectory.create(tmp_path / "table", configurations.load("wine/vae"))
    code, out, err = command(name, tmp_path / "table")
    assert (code, out, err.count("\n")) == (2, "", 1)
    others = ", ".join(other for other in FIGURES if other not in OF_IMAGES)
    assert f"{name} shows images, but table has features (wine); of them: {others}" in err


def test_mistakes_do_not_wait_for_tensorflow(trained):
    code = (
        "import sys\n"
        "sys.argv[0] = 'zoo'\n"
        "from zoo.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    mistakes = (["history", trained / "vae-seed0", trained / "other"], ["samples", trained / "begun", "--to", "a.gif"])
    for words in (["--list"], ["tsn"], *mistakes):
        subprocess.run([sys.executable, "-c", code, "plot", *map(str, words)], check=True, capture_output=True)


def test_a_history_is_drawn_without_tensorflow(trained, tmp_path):
    code = (
        "import sys\n"
        "sys.argv[0] = 'zoo'\n"
        "from zoo.cli import main\n"
        "try:\n    main()\nexcept SystemExit as leaving:\n    assert not leaving.code\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    words = ["plot", "history", str(trained / "vae-seed0"), "--to", str(tmp_path / "history.png")]
    subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True)
    assert (tmp_path / "history.png").is_file()


def test_a_legend_names_as_many_lines_as_can_be_told_apart():
    line = np.arange(1, 3), np.ones(2)
    figure = figures.history({"rate": {f"run {k}": [line] for k in range(1, MOST_NAMED + 1001)}})
    assert len(figure.axes[0].get_lines()) == MOST_NAMED + 1000
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [f"run {k}" for k in range(1, MOST_NAMED + 1)] + ["and 1,000 more", "validation"]
    whole = figures.history({"rate": {f"run {k}": [line] for k in range(MOST_NAMED)}})
    assert len(whole.legends[0].get_texts()) == MOST_NAMED + 1


def test_a_history_is_that_of_the_file_and_seeds_are_one_line(trained):
    runs = labelled([trained / name for name in ("vae-seed0", "vae-seed1", "noise-seed0")])
    assert same_but_for_seed(runs) == {"vae (2 seeds)": ["vae-seed0", "vae-seed1"], "noise-seed0": ["noise-seed0"]}
    # As reports call the seeds of a row.
    called = {"VAE, seed 0": runs["vae-seed0"], "VAE, seed 1": runs["vae-seed1"]}
    assert same_but_for_seed(called) == {"VAE (2 seeds)": [*called]}
    rows = {label: [json.loads(line) for line in found.metrics.open()] for label, found in runs.items()}
    held_out, training, noise = (
        plot("history", runs, **options).axes[0]
        for options in (
            {"split": "validation"},
            {"metric": "distortion,rate", "split": "train"},
            {"metric": "noise_rate", "split": "validation"},
        )
    )
    both = [[row["val_mutual_information"] for row in rows[label]] for label in ("vae-seed0", "vae-seed1")]
    mean = np.mean(both, axis=0)
    np.testing.assert_allclose(lines(held_out)["vae (2 seeds)"], np.stack([[1, 2], mean], axis=1))
    np.testing.assert_allclose(lines(training)["noise-seed0"][:, 1], [row["distortion"] for row in rows["noise-seed0"]])
    # Of a metric that not all runs have, only theirs are drawn.
    assert [*lines(noise)] == ["noise-seed0"]
    figure = plot("history", runs, metric="elbo,mutual_information")
    both, only = figure.axes
    drawn = [line.get_ydata() for line in both.lines if line.get_label() == "noise-seed0"]
    np.testing.assert_allclose(drawn, [[row[key] for row in rows["noise-seed0"]] for key in ("val_elbo", "elbo")])
    assert len(only.lines) == 3 and "n = 300 of validation; means of up to 2 seeds" in figure.get_suptitle()


def test_rate_and_distortion_are_those_of_the_evaluation(trained):
    runs = labelled([trained / name for name in ("vae-seed0", "vae-seed1", "noise-seed0")])
    figure = plot("rate_distortion", runs)
    (axis,) = figure.axes
    found = {label: run.figures("test") for label, run in runs.items()}
    points = {label: [of["rate"]["value"], of["distortion"]["value"]] for label, of in found.items()}
    np.testing.assert_allclose(lines(axis)["noise-seed0"], [points["noise-seed0"]])
    np.testing.assert_allclose(
        lines(axis)["vae (2 seeds)"], [np.mean([points["vae-seed0"], points["vae-seed1"]], axis=0)]
    )
    assert figure.get_suptitle() == f"digits, test; n = {found['vae-seed0']['rate']['examples']}"
    with pytest.raises(RunError, match=r"no rate and distortion of validation; first: zoo evaluate .* --split valid"):
        plot("rate_distortion", runs, split="validation")


def test_a_traversal_changes_one_unit(trained):
    runs = labelled([trained / "vae-seed0"])
    model = experiments.load_model(runs["vae-seed0"])
    images = load("digits", "test").images
    order = np.random.default_rng(0).permutation(len(images))
    loc, scale = model.posteriors(images[order])
    rates = metrics.rate_per_unit(loc, scale)
    first, second = np.argsort(-rates)[:2]
    of_17 = model.posteriors(images[[17]]).loc[0]
    cases = (
        ({"unit": 3, "images": 2}, [3, 3], loc[:2]),
        ({"units": 2}, [first, second], loc[[0, 0]]),
        ({"units": 1, "example": 17}, [first], of_17[None]),
    )
    for options, units, starts in cases:
        (axis,) = plot("traversal", runs, **options).axes
        walks = np.stack([starts] * 7, axis=1)
        for row, unit in enumerate(units):
            walks[row, :, unit] = [-3, -2, -1, 0, 1, 2, 3]
        decoded = model.decode(walks.reshape(-1, 16)).numpy()
        np.testing.assert_allclose(axis.images[0].get_array(), grid(decoded, 7)[..., 0], atol=1)
        assert [text.get_text() for text in axis.get_yticklabels()] == [f"{unit}: {rates[unit]:.2f}" for unit in units]


def test_walks_begin_and_end_with_their_images(trained, monkeypatch):
    runs = labelled([trained / "vae-seed0"])
    model, walked = model_of(runs["vae-seed0"]), []
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda z, given=None: (walked.append(z), decode(z, given))[1])
    images = load("digits", "test").images
    first, last = images[np.random.default_rng(0).permutation(len(images))[:2]]
    (axis,) = plot("interpolation", runs, images=1).axes
    cells = np.asarray(axis.images[0].get_array())[1:-1].reshape(28, -1)[:, 1:]
    shown = [cells[:, 29 * i : 29 * i + 28] for i in range(11)]
    a, b = model.posteriors(np.stack([first, last])).loc
    np.testing.assert_allclose(walked[0], np.linspace(a, b, 9), rtol=1e-4, atol=1e-5)
    for cell, image in ((1, first), (-2, last)):
        reconstruction = np.round(255 * model.reconstruct(image[None]).numpy()[0, ..., 0])
        assert np.abs(shown[cell] - reconstruction).max() <= 1
    middle = np.round(255 * decode(0.5 * (a + b)[None]).numpy()[0, ..., 0])
    np.testing.assert_array_equal(shown[0], first[..., 0])
    np.testing.assert_array_equal(shown[-1], last[..., 0])
    assert np.abs(shown[5] - middle).max() <= 1


def test_labels_and_data_sets(trained, tmp_path):
    experiment = configurations.load("digits/vae")
    for name in ("a/x-0", "b/x-0"):
        RunDirectory.create(tmp_path / name, experiment)
    assert [*labelled([tmp_path / "a" / "x-0", tmp_path / "b" / "x-0"])] == ["a/x-0", "b/x-0"]
    assert [*labelled([tmp_path / "a" / "x-0", trained / "begun"])] == ["x-0", "begun"]
    with pytest.raises(RunError, match="not the directory of a run"):
        labelled([tmp_path])
    binarised = configurations.load("digits/vae", ["data.binarize=dynamic", "data.train=train[:9]"])
    assert (data_set(experiment.data), data_set(binarised.data)) == ("digits", "digits, binarised")
    # Two folders are two data sets; what others see of one is its name alone.
    own = configurations.load("digits/vae", [f"data={{name: files, path: {tmp_path}/scans, train: all, test: all}}"])
    run = RunDirectory.create(tmp_path / "own", own)
    assert data_set(own.data) == f"files, {tmp_path}/scans"
    assert sample({"own": run}, "test", 1200) == "files, scans, test split: n = 1,200"


def test_what_is_drawn_is_what_the_models_say(trained, monkeypatch):
    runs = labelled([trained / "vae-seed0", trained / "noise-seed0"])
    models = {label: experiments.load_model(found) for label, found in runs.items()}
    images = load("digits", "test").images
    images = images[np.random.default_rng(5).permutation(len(images))[:4]]
    taken = {}
    for name in ("reconstructions", "samples", "arrows", "data_and_noise", "tsne", "image_map"):
        monkeypatch.setattr(figures, name, lambda *given, to=name, **_: taken.__setitem__(to, given))
    notes = []
    monkeypatch.setattr(figures, "noted", lambda _, text: notes.append(text))
    for name in ("reconstructions", "samples", "arrows", "noise", "tsne", "grid"):
        plot(name, runs, images=4, seed=5)
    np.testing.assert_array_equal(taken["reconstructions"][0], images)
    for label, model in models.items():
        loc, scale = model.posteriors(images)
        close = {"rtol": 1e-4, "atol": 1e-4}
        np.testing.assert_allclose(taken["reconstructions"][1][label], model.reconstruct(images), **close)
        np.testing.assert_allclose(taken["samples"][0][label], model.sample(4, seed=5), **close)
        np.testing.assert_allclose(taken["tsne"][0][label][0], loc, **close)
        np.testing.assert_allclose(taken["image_map"][1][label], figures.plane(loc, seed=5), rtol=1e-2, atol=1e-2)
        before, after = taken["arrows"][0][label]
        np.testing.assert_allclose(before, loc, **close)
        assert np.abs(after - before).max() > 0.01
        data, noise = taken["data_and_noise"][0][label]
        # Samples of q(z|x), and of q(z|x_n): two draws each.
        assert 0.1 < np.std((data - loc) / scale) < 2 and np.std((noise - loc) / scale) < 3
        assert np.abs(data - noise).max() > 0.01
    assert taken["data_and_noise"][1] == [1.0, models["noise-seed0"].K]
    assert [text for text in notes if "digits, test split: n = 4" in text or "n = 4 samples" in text] == notes
    assert len(notes) == 6


def test_noise_of_the_decoder_is_that_of_the_model(trained, monkeypatch):
    runs = labelled([trained / "noise-seed0"])
    model = model_of(runs["noise-seed0"])
    monkeypatch.setattr(model, "noise", "decoder")
    # Brighter than any image, so that no other noise is taken for it.
    bright = np.full((1, 28, 28, 1), 5, np.float32)
    monkeypatch.setattr(type(model), "noise_examples", lambda self, batch: np.repeat(bright, len(batch.x), 0))
    monkeypatch.setattr(figures, "data_and_noise", lambda found, scales: found)
    monkeypatch.setattr(figures, "noted", lambda found, _: found)
    _, noise = plot("noise", runs, images=50)["noise-seed0"]
    latents = model.infer(model.batch(bright, training=False))
    drawn = (noise - latents.code()) / latents.scale()
    np.testing.assert_allclose([np.mean(drawn), np.std(drawn)], [0, 1], atol=0.15)
