"""Features: tables and arrays of the user's own, the embedded ones, their checks and statistics."""

import warnings

import numpy as np
import pytest

from zoo import data
from zoo.data import load, read, statistics
from zoo.data.tables import Table
from zoo.data.values import as_features, check_features
from zoo.experiments import configurations
from zoo.experiments.building import feature_domain, load_split
from zoo.experiments.schema import ConfigurationError

ROWS = np.round(np.random.default_rng(0).normal(size=(40, 3)), 3)


def text(rows=ROWS, header="length,width,height", labels=None, separator=","):
    lines = [header] if header else []
    for number, row in enumerate(rows):
        cells = [*map(str, row), *([] if labels is None else [str(labels[number])])]
        lines.append(separator.join(cells))
    return "\n".join(lines) + "\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(text())
    return path


def error(call):
    with pytest.raises(ValueError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def of(path, content, **options):
    path.write_text(content)
    return error(lambda: Table(path, **options))


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["length,width,height", ",width,1st", "0,1,2", None])
def test_a_table_is_its_numbers(table, separator, header):
    table.write_text("\ufeff" + text(header=header and header.replace(",", separator), separator=separator) + "\n\n")
    found = Table(table).read("all")
    assert found.images.dtype == np.float32 and found.labels is None
    np.testing.assert_array_equal(found.images, ROWS.astype(np.float32))


def test_numbers_in_all_their_forms(table):
    table.write_text('a,"b, c",d\n 1 ,-2.5e-3,"3"\r\n+4,.5,6.\n')
    np.testing.assert_array_equal(Table(table).read("all").images, np.float32([[1, -2.5e-3, 3], [4, 0.5, 6]]))
    assert Table(table).columns == ["a", "b, c", "d"]


def test_a_table_is_split_as_arrays_are(table, tmp_path):
    np.save(tmp_path / "own.npy", ROWS)
    defaults = data.source("files").splits
    for split in (*defaults.values(), "all"):
        ours, theirs = (load("files", split, path=path, kind="features") for path in (table, tmp_path / "own.npy"))
        np.testing.assert_array_equal(ours.images, theirs.images)
    assert sorted(len(load("files", split, path=table).images) for split in defaults.values()) == [4, 4, 32]
    # To encode it, it is read in its own order.
    np.testing.assert_array_equal(read(str(table), (3,)).images, ROWS.astype(np.float32))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(np.arange(40) % 3, np.arange(40) % 3), (["b", "a"] * 20, [1, 0] * 20), (["2.0", "-1"] * 20, [2, -1] * 20)],
)
def test_a_column_of_labels(table, labels, expected):
    table.write_text(text(header="length,width,height,class", labels=labels))
    found = Table(table, "class").read("all")
    np.testing.assert_array_equal(found.images, ROWS.astype(np.float32))
    assert found.labels.dtype == np.int64 and found.labels.tolist() == list(expected)
    part = load("files", "all[:25%]", path=table, label_column="class")
    assert len(part.images) == len(part.labels) == 10
    # In a table that is to be encoded, the column may be there or not.
    assert read(str(table), (3,), label_column="class").labels is not None
    table.write_text(text())
    assert read(str(table), (3,), label_column="class").labels is None


def test_cells_that_are_no_numbers_are_named(table):
    assert of(table, "a,b\n1,2\n\n3,x4\n").endswith("own.csv: line 4, 'b': 'x4' is not a number")
    assert of(table, "1,2\n3,x4\n").endswith("line 2, 'column 2': 'x4' is not a number")
    assert of(table, "5.1,3.5,setosa\n").endswith("line 1, 'column 3': 'setosa' is not a number")
    assert "1 features are NaN or infinite, the first at index (1, 0)" in of(table, "a,b\n1,2\ninf,4\n")
    assert "as float32: 1 features" in of(table, "a,b\n1,2\n3,1e300\n")


def test_missing_cells_are_counted(table):
    message = of(table, "a,b,c\n1,,3\n4,NA,nan\n7,8,9\n")
    assert "3 cells are missing, 2 in 'b', 1 in 'c', the first on line 2;" in message
    assert "2 cells are missing, 1 in 'a', 1 in 'b', the first on line 3" in of(table, "a,b\n1,2\n,\n")
    # Before what is merely strange.
    assert "1 cells are missing" in of(table, "a,b\nx,2\n3,\n")
    many = of(table, ",".join("abcdefg") + "\n" + "," * 6 + "\n")
    assert "7 cells are missing" in many and "and 2 more columns" in many


def test_tables_that_are_refused(table, tmp_path):
    assert "line 3 has 3 cells, and line 1 has 2" in of(table, "a,b\n1,2\n1,2,3\n")
    assert "no rows below the header" in of(table, "a,b\n")
    assert of(table, "").endswith("no rows")
    assert "does not exist" in error(lambda: Table(tmp_path / "missing.csv"))
    table.write_bytes(b"a,b\n\xff\xfe,2\n")
    assert "cannot be read as a table" in error(lambda: Table(table))
    labelled = "a,b,class\n1,2,0\n"
    assert "has no column 'clas'; it has a, b, class" in of(table, labelled, label_column="clas")
    assert "has more than one column 'a'" in of(table, "a,a\n1,2\n", label_column="a")
    assert "has no header" in of(table, "1,2\n", label_column="a")
    assert "no column beside 'a'" in of(table, "a\n1\n", label_column="a")
    assert "line 2: 'b': a label must be a whole number, got '2.5'" in of(table, "a,b\n1,2.5\n", label_column="b")
    assert "1 labels are missing in 'b', the first on line 3" in of(table, "a,b\n1,2\n1,\n", label_column="b")
    table.write_text(text())
    assert "has no split 'train'; it has all" in error(lambda: load("files", "train", path=table))
    assert "holds features of 3, but 4 are needed" in error(lambda: read(str(table), (4,)))


# ── Arrays ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shape", [(40, 3), (40, 5, 3), (40, 2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8, bool])
def test_arrays_of_any_rank_are_features(tmp_path, shape, dtype):
    x = (10 * np.random.default_rng(0).normal(size=shape)).astype(dtype)
    np.save(tmp_path / "own.npy", x)
    np.savez(tmp_path / "own.npz", features=x, labels=np.arange(40))
    np.savez(tmp_path / "split.npz", train_features=x, train_labels=np.arange(40), x_test=x[:3])
    for file, split in (("own.npy", "all"), ("own.npz", "all"), ("split.npz", "train")):
        found = load("files", split, path=tmp_path / file, kind="features")
        order = np.arange(40) if split == "train" else np.random.RandomState(0).permutation(40)
        assert found.images.dtype == np.float32
        np.testing.assert_array_equal(found.images, x[order].astype(np.float32))
        if file != "own.npy":
            np.testing.assert_array_equal(found.labels, order)
    np.testing.assert_array_equal(
        read(f"{tmp_path / 'split.npz'}:test", shape[1:], kind="features").images, x[:3].astype(np.float32)
    )


def test_what_is_no_features():
    good = np.zeros((5000, 2, 3))
    bad = good.copy()
    bad[4097, 1, 2] = bad[4999, 0, 0] = np.nan
    for x, words in (
        (np.zeros(4), r"rank 2 or more, [n, ...], got shape (4,); for one feature an example, x[:, None]"),
        (np.float64(1), "got shape ()"),
        (good[:0], "no features (shape (0, 2, 3))"),
        (bad, "2 features are NaN or infinite, the first at index (4097, 1, 2)"),
        (np.array([["a"]]), "features of type <U1 are not supported"),
        (np.zeros((1, 1), complex), "complex128 are not supported"),
        (np.array([[None]]), "object are not supported"),
    ):
        message = error(lambda x=x: check_features(np.asarray(x), where="x.npy"))
        assert message.startswith("x.npy: ") and words in message
    assert "as float32: 1 features" in error(lambda: as_features(np.array([[1e300]]), "x"))


def test_statistics_are_those_of_the_last_axis():
    x = np.random.default_rng(0).normal([1e4, -3, 0], [0.5, 2, 7], (300, 50, 3)).astype(np.float32)
    loc, scale = statistics(x)
    assert loc.dtype == scale.dtype == np.float32
    flat = x.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(loc, flat.mean(0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(scale, np.sqrt(((flat - flat.mean(0)) ** 2).mean(0)), rtol=1e-6)
    constant = np.concatenate([x[:, 0], np.full((300, 2), 0.1, np.float32)], axis=1)
    with pytest.warns(UserWarning, match=r"2 of 5 features never change .* 3, 4\)"):
        loc, scale = statistics(constant)
    np.testing.assert_allclose(loc[3:], 0.1)
    assert scale[3:].tolist() == [1, 1]


# ── The embedded ones ────────────────────────────────────────────────────────────────────────────────────────────


def test_wine_is_scikit_learns_each_once():
    from sklearn.datasets import load_wine

    raw, sizes = load_wine(), []
    for split in ("train", "validation", "test"):
        found = load("wine", split)
        sizes.append(len(found.images))
        assert np.abs(np.bincount(found.labels) - np.array([59, 71, 48]) * len(found.labels) / 178).max() <= 1
    assert sizes == [118, 30, 30]
    whole = load("wine", "all")
    order, expected = np.lexsort(whole.images.T), raw.data.astype(np.float32)
    sorted_rows = np.lexsort(expected.T)
    np.testing.assert_array_equal(whole.images[order], expected[sorted_rows])
    np.testing.assert_array_equal(whole.labels[order], raw.target[sorted_rows])
    assert read("tfds:wine/test", (13,)).images.shape == (30, 13)


def test_waves_have_three_factors():
    found = load("waves", "train")
    assert found.images.shape == (2000, 50, 3) and found.images.dtype == np.float32
    assert np.bincount(found.labels).min() > 600 and set(found.labels) == {0, 1, 2}
    # Behind each series stand an amplitude, a number of periods and a delay: least squares find them, and leave noise.
    from scipy.optimize import least_squares

    time = np.arange(50)[:, None] / 50
    for x, label in zip(found.images[:20], found.labels[:20], strict=True):

        def missed(factors, x=x):
            a, f, d = factors
            return (a * np.sin(2 * np.pi * f * (time - d * np.arange(3))) - x).ravel()

        bounds = [0.4, 0.9, -0.02], [1.6, 3.1, 0.12]
        fits = [least_squares(missed, [1, f, 0.05], bounds=bounds) for f in (1.25, 1.75, 2.25, 2.75)]
        a, f, d = min(fits, key=lambda fit: fit.cost).x
        assert abs((f - 1) * 1.5 - (label + 0.5)) < 0.6
        assert np.std(missed((a, f, d))) == pytest.approx(0.1, abs=0.03)
    np.testing.assert_array_equal(found.images, load("waves", "train").images)
    assert not np.isin(load("waves", "test").images[:, 0, 0], found.images[:, 0, 0]).any()


# ── Configurations ───────────────────────────────────────────────────────────────────────────────────────────────


def configured(*settings, name="waves/vae"):
    return configurations.load(name, list(settings))


@pytest.mark.parametrize(
    ("settings", "kind", "standardize"),
    [
        ({"name": "digits"}, "images", False),
        ({"name": "wine"}, "features", True),
        ({"name": "waves"}, "features", False),
        ({"name": "waves", "standardize": "true"}, "features", True),
        ({"name": "files", "path": "own.csv"}, "features", True),
        ({"name": "files", "path": "own.CSV", "standardize": "false"}, "features", False),
        ({"name": "files", "path": "own.npy"}, "images", False),
        ({"name": "files", "path": "own.npy", "kind": "features"}, "features", False),
    ],
)
def test_kind_and_standardisation_are_resolved(settings, kind, standardize):
    section = configured(*(f"data.{key}={value}" for key, value in settings.items())).data
    assert (section.kind, section.standardize) == (kind, standardize)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["data.kind=images"], "data.kind: waves holds features, not images"),
        (["data.kind=tables"], "data.kind"),
        (["data.name=digits", "data.kind=features"], "digits holds images, not features"),
        (["data.name=files", "data.path=a.csv", "data.kind=images"], "a.csv holds features, not images"),
        (["data.size=8"], "size: is for images"),
        (["data.binarize=dynamic"], "binarize: is for images"),
        (["data.label_column=class"], "label_column: is for a .csv file"),
        (["data.name=digits", "data.standardize=true"], "standardize: is for features"),
    ],
)
def test_mistakes_in_the_data_section(settings, words):
    with pytest.raises(ConfigurationError) as caught:
        configured(*settings)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_load_refuses_the_same_mistakes(tmp_path):
    assert "size: is for images" in error(lambda: load("wine", "train", size=8))
    assert "label_column: is for" in error(lambda: load("wine", "train", label_column="class"))
    assert "holds features, not images" in error(lambda: load("wine", "train", kind="images"))
    assert "unknown kind 'feature'; did you mean 'features'" in error(lambda: load("wine", "train", kind="feature"))
    assert "which holds pictures" in error(lambda: load("files", "all", path=tmp_path, kind="features"))


def test_a_table_is_standardised_by_its_training_split(table):
    table.write_text(text(header="length,width,height,class", labels=np.arange(40) % 2))
    settings = ["data.name=files", f"data.path={table}", "data.label_column=class"]
    experiment = configured(*settings)
    training = load_split(experiment, "train")
    assert training.images.shape == (32, 3) and training.labels.shape == (32,)
    domain = feature_domain(experiment, training)
    np.testing.assert_allclose(domain.loc, training.images.mean(0), atol=1e-6)
    np.testing.assert_allclose(domain.scale, training.images.std(0), rtol=1e-5)
    with warnings.catch_warnings(action="error"):
        plain = feature_domain(configured(*settings, "data.standardize=false"), training)
    assert plain.loc is None and plain.scale is None
    assert feature_domain(configured(name="digits/vae"), training) is None


# ── What pandas and instruments write ────────────────────────────────────────────────────────────────────────────


def test_an_index_is_no_feature(table):
    indexed = np.concatenate([np.arange(40)[:, None], ROWS], axis=1)
    assert "pandas's index?" in of(table, text(indexed, ",a,b,c"))
    assert "pandas's index?" in of(table, text(indexed + 1, ",a,b,c"))


def test_a_header_of_numbers_is_warned_of(table):
    rows = np.random.default_rng(0).normal(size=(5, 4))
    table.write_text(text(rows, "400,410,420,430"))
    with pytest.warns(UserWarning, match="400, 410, …, is taken as an example; if it is a header"):
        Table(table)


def test_digits_are_not_grouped(table):
    assert of(table, "a,b\n1_0,2\n3,4\n").endswith("line 2, 'a': '1_0' is not a number")
