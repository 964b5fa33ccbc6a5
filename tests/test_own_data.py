"""What a user's own data bring with them: places, names, and what may be wrong with them."""

import json
import os
import warnings

import numpy as np
import pytest
import yaml
from PIL import Image

from zoo import data
from zoo.data.overlap import lacking, overlaps
from zoo.experiments import configurations
from zoo.experiments.building import load_split
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.experiments.same_data import check_data, identities, identity
from zoo.experiments.schema import ConfigurationError
from zoo.report.gallery import runs as gallery

MODEL = {
    "method": "vae",
    "network": {"name": "mlp", "depth": 1, "width": 16},
    "likelihood": "bernoulli",
    "latent_dim": 2,
}
CLASSES = ("apes", "bees")


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    """20 pictures in two classes: pictures/apes/00.png, pictures/bees/10.png, …"""
    for number in range(20):
        picture(tmp_path / "pictures" / CLASSES[number // 10] / f"{number:02}.png", number)
    return tmp_path / "pictures"


def write(path, **sections):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(sections))
    return path


def path_of(name, *settings):
    return configurations.load(name, [*settings], resolve=False).data.path


# ── Paths ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_path_is_relative_to_the_file_that_names_it(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    base = write(tmp_path / "below" / "base.yaml", data={"name": "files", "path": "../pictures"}, model=MODEL)
    for given in ("below/base.yaml", str(base)):
        own = write(tmp_path / "own.yaml", base=given, train={"epochs": 3})
        assert path_of(own) == str(tmp_path / "pictures")
    own = write(tmp_path / "own.yaml", base="below/base.yaml", data={"path": "other"})
    assert path_of(own) == path_of("../own.yaml") == str(tmp_path / "other")
    assert path_of(own, "data.path=pictures") == str(tmp_path / "elsewhere" / "pictures")
    assert path_of(own, "data={name: files, path: a.csv}") == str(tmp_path / "elsewhere" / "a.csv")
    assert path_of(own, f"data.path={tmp_path}/x.npy") == str(tmp_path / "x.npy")
    assert path_of(own, "data.path=~/x.npy") == os.path.expanduser("~/x.npy")
    # A name of the zoo's own needs no file beside.
    write(tmp_path / "own.yaml", base="digits/vae")
    assert configurations.load(own, resolve=False).data.name == "digits"


def test_a_run_keeps_the_absolute_path(tmp_path, monkeypatch):
    own = write(tmp_path / "own.yaml", data={"name": "files", "path": "a.csv"}, model=MODEL)
    config = tmp_path / "runs" / "mine" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(configurations.dump(configurations.load(own, resolve=False)))
    assert yaml.safe_load(config.read_text())["data"]["path"] == str(tmp_path / "a.csv")
    monkeypatch.chdir("/")
    assert path_of(config) == str(tmp_path / "a.csv")


def test_a_base_that_is_not_there_names_the_file_that_wants_it(tmp_path):
    own = write(tmp_path / "own.yaml", base="digits/vea")
    with pytest.raises(ConfigurationError, match=r"own\.yaml: base: digits/vea: .* did you mean 'digits/vae'"):
        configurations.load(own)


# ── Unreadable pictures ──────────────────────────────────────────────────────────────────────────────────────


def test_all_unreadable_pictures_are_in_one_error(folder):
    for number in range(12):
        (folder / "bees" / f"bad{number:02}.png").write_text("not a picture")
    (folder / "apes" / "00.png").write_bytes((folder / "apes" / "00.png").read_bytes()[:60])
    with pytest.raises(ValueError) as caught:
        data.load("files", "all[:10%]", path=folder)
    message = str(caught.value)
    assert f"{folder}: 13 of 32 pictures cannot be read: apes/00.png (" in message
    assert "bees/bad08.png (no picture), and 3 more; mend" in message and "bad09" not in message
    assert "data.skip_unreadable: true" in message and "\n" not in message


def test_unreadable_pictures_can_be_left_out(folder):
    whole = data.load("files", "all[:80%]", path=folder)
    for name in whole.names[:3]:
        (folder / name).write_text("not a picture")
    left_out = "3 of the 16 pictures that were asked for cannot be read and are left out: apes/01.png, "
    with pytest.warns(UserWarning, match=left_out):
        found = data.load("files", "all[:80%]", path=folder, skip_unreadable=True)
    np.testing.assert_array_equal(found.images, whole.images[3:])
    np.testing.assert_array_equal(found.labels, whole.labels[3:])
    assert found.names.tolist() == whole.names[3:].tolist()
    for file in folder.rglob("*.png"):
        file.write_text("not a picture")
    with pytest.raises(ValueError, match="none of the 20 pictures of 'all' can be read"):
        data.load("files", "all", path=folder, skip_unreadable=True)


def test_only_a_folder_takes_skip_unreadable(tmp_path):
    for path, word in (("a.csv", "is for images"), ("a.npy", "is for a folder of pictures")):
        own = write(tmp_path / "own.yaml", data={"name": "files", "path": path, "skip_unreadable": True}, model=MODEL)
        with pytest.raises(ConfigurationError, match=f"skip_unreadable: {word}"):
            configurations.load(own, resolve=False)


# ── Names ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_names_of_classes_and_files_follow_the_pictures(folder):
    found = data.load("files", "all", path=folder)
    assert found.class_names == CLASSES
    assert [name.partition("/")[0] for name in found.names] == found.classes().tolist()
    assert found.take(slice(2, 4)).names.tolist() == found.names[2:4].tolist()
    both = data.load("files", "all[:3]+all[5:9]", path=folder)
    assert both.names.tolist() == [*found.names[:3], *found.names[5:9]]
    images, labels = found
    assert images is found.images and labels is found.labels


@pytest.mark.parametrize("kind", ["text", "bytes"])
def test_text_labels_of_arrays_are_numbered_over_all_splits(tmp_path, kind):
    train, test = (np.array(names, str if kind == "text" else bytes) for names in (["cat", "ape", "cat"], ["bee"]))
    images = np.zeros((3, 4, 4, 1), np.uint8)
    np.savez(tmp_path / "own.npz", x_train=images, y_train=train, x_test=images[:1], y_test=test[:, None])
    found, held_out = (data.load("files", split, path=tmp_path / "own.npz") for split in ("train", "test"))
    assert found.labels.tolist() == [2, 0, 2] and held_out.labels.tolist() == [1]
    assert found.labels.dtype == np.int64
    assert found.class_names == held_out.class_names == ("ape", "bee", "cat")
    np.savez(tmp_path / "own.npz", x_train=images, y_train=train, x_test=images[:1], y_test=[7])
    with pytest.raises(ValueError, match="labels are text in one split and numbers in another"):
        data.load("files", "train", path=tmp_path / "own.npz")


def test_text_labels_of_a_table_keep_their_names(tmp_path):
    (tmp_path / "own.csv").write_text("a,class,b\n1,wet,2\n3,dry,4\n")
    found = data.read(str(tmp_path / "own.csv"), label_column="class")
    assert found.class_names == ("dry", "wet") and found.labels.tolist() == [1, 0]
    assert found.classes().tolist() == ["wet", "dry"] and found.columns == ("a", "b")
    (tmp_path / "own.csv").write_text("a,class,b\n1,7,2\n3,5,4\n")
    found = data.read(str(tmp_path / "own.csv"), label_column="class")
    assert found.class_names == () and found.classes().tolist() == [7, 5]


def test_the_projector_gets_the_names(tmp_path):
    from zoo.training import callbacks

    class Codes:
        def posteriors(self, images):
            self.loc = np.zeros((len(images), 2), np.float32)
            return self

    images = np.zeros((3, 4, 4, 1), np.uint8)
    names = np.array(["b/1.png", "a/odd\tname.png", "b/2.png"])
    shown = data.Examples(images, np.array([1, 0, 1]), names, ("a", "b"))
    projector = callbacks.Projector(tmp_path, lambda: shown, count=2)
    projector.set_model(Codes())
    projector.on_train_end()
    assert (
        tmp_path / "projector" / "images.tsv"
    ).read_text() == "label\timage\tfile\nb\t0\tb/1.png\na\t1\ta/odd name.png\n"


# ── The data of a run ──


def test_a_run_keeps_to_the_data_that_it_was_made_with(folder, tmp_path):
    own = write(tmp_path / "own.yaml", data={"name": "files", "path": "pictures"}, model=MODEL)
    experiment = configurations.load(own)
    splits = {name: load_split(experiment, name) for name in ("train", "validation")}
    run = RunDirectory.create(tmp_path / "run", experiment, identities(experiment, splits))
    check_data(run, experiment, {name: load_split(experiment, name) for name in splits})
    lost = next(folder / name for name in splits["validation"].names)
    content = lost.read_bytes()
    lost.unlink()
    with pytest.raises(
        RunError, match=r"data\.train had 16 examples when the run was made, and now there are 15: a file"
    ):
        check_data(run, experiment, {"train": load_split(experiment, "train")})
    # One for another leaves the number.
    lost.with_name("other.png").write_bytes(content)
    with pytest.raises(RunError, match="and now there are others"):
        check_data(run, experiment, {name: load_split(experiment, name) for name in splits})
    lost.with_name("other.png").rename(lost)
    check_data(run, experiment, {name: load_split(experiment, name) for name in splits})


def test_arrays_are_told_by_their_values_and_labels():
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)
    found = identity(data.Examples(images, np.array([0, 1])))
    assert found == identity(data.Examples(images.copy(), np.array([0, 1]))) and found["examples"] == 2
    others = (data.Examples(images[::-1], np.array([0, 1])), data.Examples(images, np.array([1, 1])))
    assert all(identity(other) != found for other in (*others, data.Examples(images, None)))


# ── Columns ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (
            "b,a,class",
            "the columns are in another order: 'b' stands where 'a' is expected; bring them into this one: 'a', 'b'",
        ),
        ("a,c,class", "lacks 'b' and has beside them 'c'; the columns must be 'a', 'b'"),
        ("a,class", "lacks 'b'; the columns must be 'a', 'b'"),
        ("a,b,c", "has beside them 'c'; the columns must be 'a', 'b'"),
        ("a,b,a", "the columns are in another order: one is repeated"),
    ],
)
def test_columns_must_be_those_of_the_training(tmp_path, header, words):
    path = tmp_path / "own.csv"
    path.write_text(f"{header}\n{','.join('123'[: header.count(',') + 1])}\n")
    with pytest.raises(ValueError) as caught:
        data.read(str(path), (2,), label_column="class", columns=("a", "b"))
    assert str(caught.value).startswith(f"{path}: {words}") and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a,b,class\n1,2,x\n", "class,a,b\nx,1,2\n", "a,b\n1,2\n", "1,2\n"])
def test_columns_that_are_right(tmp_path, text):
    (tmp_path / "own.csv").write_text(text)
    found = data.read(str(tmp_path / "own.csv"), (2,), label_column="class", columns=("a", "b"))
    assert found.images.tolist() == [[1, 2]]


# ── Scales and splits ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("low", "high", "words"), [(0, 255, "divide by 255"), (-1, 1, "scale them to it"), (0, 1, "")])
def test_floats_beyond_the_unit_interval_are_warned_about(tmp_path, low, high, words):
    np.save(tmp_path / "own.npy", np.linspace(low, high, 72, dtype=np.float32).reshape(2, 6, 6, 1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data.load("files", "all", path=tmp_path / "own.npy")
    said = [str(one.message) for one in caught]
    assert len(said) == bool(words)
    if words:
        assert f"float pixels lie in [{low}, {high}], not in [0, 1]" in said[0] and words in said[0]


@pytest.mark.parametrize(
    ("train", "validation", "shared"),
    [
        ("all[:80%]", "all[80%:]", 0),
        ("all[:80%]", "all[75%:]", 1),
        ("all[:-4]", "all[15:]", 1),
        ("all[:-4]", "all[-4:]", 0),
        ("all", "all[3:6]", 3),
        ("all[:2]+all[4:8]", "all[1:5]", 2),
    ],
)
def test_slices_that_overlap(folder, train, validation, shared):
    splits = {"train": train, "validation": validation, "test": "other[:3]"}
    read = {role: data.load("files", splits[role], path=folder) for role in ("train", "validation")}
    assert len({*read["train"].names} & {*read["validation"].names}) == shared
    found = overlaps(splits, read, compare=True)
    assert len(found) == bool(shared)
    if shared:
        assert f"data.train ({train}) and data.validation ({validation}) share {shared} examples" in found[0]


def test_a_test_split_that_was_not_read_is_compared_by_its_rows():
    splits = {"train": "train[:90%]", "validation": "validation", "test": "train[1000:]"}
    read = {role: data.load("digits", splits[role]) for role in ("train", "validation")}
    (found,) = overlaps(splits, read)
    assert "data.train (train[:90%]) and data.test (train[1000:]) share 77 examples" in found
    assert overlaps({**splits, "test": "test"}, read) == []
    assert "share 300 examples" in overlaps({**splits, "test": "all"}, read)[-1]


def test_the_same_picture_in_two_splits(tmp_path):
    from zoo.experiments.building import split_warnings

    for split, seeds in (("train", range(6)), ("validation", (6, 3, 4)), ("test", (7, 8))):
        for number, seed in enumerate(seeds):
            picture(tmp_path / "own" / split / f"{number}.png", seed)
    section = {"name": "files", "path": "own", "train": "train", "validation": "validation", "test": "test"}
    experiment = configurations.load(write(tmp_path / "own.yaml", data=section, model=MODEL), resolve=False)
    read = {split: data.load("files", split, path=tmp_path / "own") for split in ("train", "validation", "test")}
    (found,) = split_warnings(experiment, read)
    assert found.startswith("2 of 3 images of data.validation are in data.train too, pixel for pixel")
    assert found.endswith("the first is validation/1.png")


def test_a_split_that_lacks_classes_is_named():
    images, names = np.zeros((12, 2, 2, 1), np.uint8), ("circle", "square", "triangle")
    train = data.Examples(images, np.arange(12) % 3, None, names)
    lost = data.Examples(images, np.full(12, 1), None, names)
    assert lacking({"train": train, "validation": lost, "test": train}) == [
        "data.validation has 1 of the 3 classes of data.train; it lacks circle, triangle"
    ]
    # Too few to have all of them, or no labels.
    few = data.Examples(images[:11], np.full(11, 1), None, names)
    assert lacking({"train": train, "test": few}) == lacking({"train": data.Examples(images, None), "test": lost}) == []


def test_a_part_of_a_split_of_classes_has_them_all(tmp_path):
    for number, name in enumerate(("circle", "square", "triangle")):
        for seed in range(10):
            picture(tmp_path / "own" / "train" / name / f"{seed}.webp", 10 * number + seed)
    whole = data.load("files", "train", path=tmp_path / "own")
    first, last = (data.load("files", part, path=tmp_path / "own") for part in ("train[:60%]", "train[60%:]"))
    assert {*first.labels} == {*last.labels} == {0, 1, 2}
    assert sorted([*first.names, *last.names]) == [*whole.names] and len(whole.names) == 30


def test_a_figure_refuses_files_that_have_changed(folder, tmp_path):
    own = write(tmp_path / "own.yaml", data={"name": "files", "path": "pictures"}, model=MODEL)
    experiment = configurations.load(own)
    splits = {name: load_split(experiment, name) for name in ("train", "validation")}
    run = RunDirectory.create(tmp_path / "run", experiment, identities(experiment, splits))
    assert len(gallery.chosen({"run": run}, "test", 2, 0).images) == 2
    (folder / splits["train"].names[0]).unlink()
    gallery._split.cache_clear()
    with pytest.raises(RunError, match=r"data\.train had 16 examples when the run was made"):
        gallery.chosen({"run": run}, "test", 2, 0)


# ── Commands ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_doctor_reads_every_split(command, folder, tmp_path):
    section = {"name": "files", "path": "pictures", "validation": "all[75%:90%]"}
    own = write(tmp_path / "own.yaml", data=section, model=MODEL)
    code, out, _ = command("doctor", own)
    assert code == 0
    assert "train: 16 images of 6x6x1, values in 0..255, 2 classes" in out
    assert "test: 2 images of 6x6x1" in out
    assert "✗ data.train (all[:80%]) and data.validation (all[75%:90%]) share 1 examples" in out
    bad = data.load("files", "all[90%:]", path=folder).names
    for name in bad:
        (folder / name).write_text("not a picture")
    code, out, err = command("doctor", own)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "2 of 20 pictures cannot be read" in err and all(name in err for name in bad)
    (folder / bad[0]).unlink()
    picture(folder / bad[0], 99)
    code, out, err = command("doctor", own, "data.skip_unreadable=true", "--json")
    assert json.loads(out)["data"]["splits"]["test"] == {
        **{"examples": 1, "left_out": 1, "shape": [6, 6, 1], "classes": 1},
        **{name: json.loads(out)["data"]["splits"]["test"][name] for name in ("low", "high")},
    }
    left_out = f"1 of the 2 pictures that were asked for cannot be read and are left out: {bad[1]}"
    assert err == f"zoo: warning: {folder}: {left_out}\n"


@pytest.mark.slow
def test_from_a_folder_to_codes_with_names(command, folder, tmp_path):
    section = {"name": "files", "path": "pictures"}
    train = {"epochs": 1, "batch_size": 8}
    own = write(tmp_path / "own.yaml", data=section, model=MODEL, train=train, watch={"pictures": False})
    assert command("train", own, "--run-dir", tmp_path / "run", "--quiet")[0] == 0
    assert command("export", tmp_path / "run")[0] == 0
    codes = tmp_path / "codes.npz"
    assert command("encode", tmp_path / "run" / "export", folder, "--to", codes, "--quiet")[0] == 0
    found = np.load(codes)
    assert found["names"][[0, -1]].tolist() == ["apes/00.png", "bees/19.png"]
    assert found["class_names"].tolist() == ["apes", "bees"]
    assert found["labels"].tolist() == [0] * 10 + [1] * 10
    rows = next((tmp_path / "run").rglob("images.tsv")).read_text().splitlines()
    assert rows[0] == "label\timage\tfile" and len(rows) == 3
    label, _, file = rows[1].split("\t")
    assert file.startswith(f"{label}/")


@pytest.mark.slow
def test_an_export_holds_tables_to_its_columns(command, tmp_path):
    values = np.random.default_rng(0).normal(size=(40, 3))
    table = tmp_path / "own.csv"
    text = "\n".join(f"{a:.3f},{b:.3f},{'wet' if c > 0 else 'dry'}" for a, b, c in values)
    table.write_text(f"a,b,class\n{text}\n")
    section = {"name": "files", "path": "own.csv", "label_column": "class"}
    model = {**MODEL, "likelihood": "gaussian"}
    own = write(tmp_path / "own.yaml", data=section, model=model, train={"epochs": 1, "batch_size": 8})
    assert command("train", own, "--run-dir", tmp_path / "run", "--quiet")[0] == 0
    assert command("export", tmp_path / "run")[0] == 0
    export, codes = tmp_path / "run" / "export", tmp_path / "codes.npz"
    assert json.loads((export / "assets.extra" / "card.json").read_text())["domain"]["columns"] == ["a", "b"]
    assert command("encode", export, table, "--to", codes, "--quiet")[0] == 0
    assert np.load(codes)["class_names"].tolist() == ["dry", "wet"]
    swapped = tmp_path / "swapped.csv"
    swapped.write_text("b,a\n1,2\n")
    code, _, err = command("encode", export, swapped, "--to", codes, "--quiet")
    assert code == 2 and err.count("\n") == 1 and "'b' stands where 'a' is expected" in err
