"""Encoding in parts: the same codes as at once, the same bytes after a kill, and no more memory for more examples."""

import errno
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo import data
from zoo.data import values
from zoo.export import codes, encoding

ROOT = Path(__file__).parents[1]
EXPORT = ROOT / "exports" / "digits" / "vae"
IMAGES = np.random.default_rng(0).integers(0, 256, (1000, 28, 28, 1), np.uint8)
FLOATS = (IMAGES / 255).astype(np.float32)
HIDDEN = ".codes.npz.codes.partial"

KILLED = """
import os, signal, sys
from pathlib import Path
from zoo.export import codes, encoding

def progress(task, done):
    if done > 0.5:
        os.kill(os.getpid(), signal.SIGKILL)

codes._SECONDS = 0.0
encoding.encode_file(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), progress=progress)
"""


@pytest.fixture(scope="module")
def loaded():
    return encoding.load_export(EXPORT)


@pytest.fixture(autouse=True)
def quick(monkeypatch, loaded):
    """The export is loaded once, and every batch is noted on the disk."""
    monkeypatch.setattr(encoding, "load_export", lambda _: loaded)
    monkeypatch.setattr(codes, "_SECONDS", 0.0)


class Stopped(BaseException):
    """Ctrl-C, without pytest's taking it for its own."""


def stopping(share):
    def progress(_, done):
        if done > share:
            raise Stopped

    return progress


def saved(path, array, **labels):
    np.savez(path, images=array, **labels) if path.suffix == ".npz" else np.save(path, array)
    return str(path)


def encoded(source, to, **options):
    """The bytes of the file, what was noted, and the shares of progress."""
    notes, shares = [], []
    options = {"progress": lambda _, done: shares.append(done), **options}
    encoding.encode_file(EXPORT, source, to, note=notes.append, **options)
    assert not (to.parent / HIDDEN).exists()
    return to.read_bytes(), notes, shares


def folder_of_pictures(path):
    """60 pictures in two classes, of which three are damaged."""
    for name, rows in (("apes", range(30)), ("bees", range(30, 60))):
        (path / name).mkdir(parents=True)
        for row in rows:
            file = path / name / f"{row:02}.png"
            Image.fromarray(IMAGES[row, ..., 0]).save(file)
            if row in (3, 4, 41):
                file.write_bytes(b"no picture")
    return path


# ── The same as at once ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("batch_size", [256, 300])
def test_the_file_is_what_numpy_writes_of_the_exports_codes(loaded, tmp_path, batch_size):
    labels = np.array(["b", "a"])[np.arange(1000) % 2]
    np.savez_compressed(tmp_path / "x.npz", images=IMAGES, labels=labels)
    content, notes, shares = encoded(str(tmp_path / "x.npz"), tmp_path / "codes.npz", batch_size=batch_size)
    parts = [loaded.encode(IMAGES[start : start + batch_size]) for start in range(0, 1000, batch_size)]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in ("loc", "scale")}
    known = {"labels": 1 - np.arange(1000) % 2, "class_names": np.array(["a", "b"])}
    np.savez(tmp_path / "whole.npz", **whole, **known)
    assert content == (tmp_path / "whole.npz").read_bytes()
    assert notes == [] and shares[-1] == 1.0 and len(shares) == 4
    at_once = loaded.encode(IMAGES)
    np.testing.assert_allclose(np.load(tmp_path / "codes.npz")["loc"], at_once["loc"], rtol=0, atol=1e-5)


def sources(folder):
    yield saved(folder / "bytes.npy", IMAGES)
    yield saved(folder / "gray.npy", IMAGES[..., 0])
    yield saved(folder / "floats.npz", FLOATS.astype(">f8"), labels=np.arange(1000))
    yield saved(folder / "bool.npz", IMAGES > 127)
    yield saved(folder / "fortran.npy", np.asfortranarray(FLOATS))
    (folder / "y.npz").write_bytes((folder / "bool.npz").read_bytes())
    yield f"{folder / 'y.npz'}:all"


def test_parts_are_those_of_the_whole(tmp_path):
    for source in sources(tmp_path):
        whole, stream = data.read(source, (28, 28, 1)), data.stream(source, (28, 28, 1), kind="images")
        parts = [stream.read(start, start + 300) for start in (0, 300, 600, 900)]
        assert stream.count == 1000 and {part.x.dtype for part in parts} == {whole.images.dtype}
        np.testing.assert_array_equal(np.concatenate([part.x for part in parts]), whole.images)
        np.testing.assert_array_equal(np.concatenate([part.rows for part in parts]), np.arange(1000))
        np.testing.assert_array_equal(stream.read(10, 20).x, whole.images[10:20])
        np.testing.assert_array_equal(stream.known([]).labels, whole.labels)


def test_pictures_that_are_left_out_have_no_codes(loaded, tmp_path):
    folder = folder_of_pictures(tmp_path / "pictures")
    stream = data.stream(str(folder), (28, 28, 1), kind="images", skip_unreadable=True)
    with pytest.warns(UserWarning, match=r"3 of the 60 pictures .* left out: apes/03.png, apes/04.png, bees/41.png"):
        content, _, _ = encoded(stream, tmp_path / "codes.npz", batch_size=16)
    found, kept = np.load(tmp_path / "codes.npz"), np.setdiff1d(np.arange(60), [3, 4, 41])
    np.testing.assert_allclose(found["loc"], loaded.encode(IMAGES[kept])["loc"], rtol=0, atol=1e-5)
    assert found["names"].tolist() == [f"{'apes' if row < 30 else 'bees'}/{row:02}.png" for row in kept]
    assert found["labels"].tolist() == [0] * 28 + [1] * 29 and found["class_names"].tolist() == ["apes", "bees"]
    with pytest.raises(Stopped):
        encoded(stream, tmp_path / "codes.npz", batch_size=16, progress=stopping(0.5))
    with pytest.warns(UserWarning, match="3 of the 60"):
        again, notes, _ = encoded(stream, tmp_path / "codes.npz", batch_size=16)
    assert again == content and notes == [f"{tmp_path / 'codes.npz'}: going on after 32 of 60 examples"]
    with pytest.raises(ValueError, match="3 of 60 pictures cannot be read"):
        encoded(str(folder), tmp_path / "codes.npz", batch_size=16)


# ── After a kill ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_killed_and_gone_on_with_it_is_the_same_to_the_byte(tmp_path):
    source, to = saved(tmp_path / "x.npy", IMAGES), tmp_path / "codes.npz"
    expected, _, _ = encoded(source, tmp_path / "whole.npz", batch_size=256)
    to.write_text("of yesterday")
    child = subprocess.run([sys.executable, "-c", KILLED, EXPORT, source, to], check=False, capture_output=True)
    assert child.returncode == -signal.SIGKILL and to.read_text() == "of yesterday"
    assert (tmp_path / HIDDEN / "loc").stat().st_size
    # What came after the last note on the disk is written again.
    with (tmp_path / HIDDEN / "loc").open("ab") as file:
        file.write(b"half a row")
    found, notes, shares = encoded(source, to)
    assert found == expected and shares == [0.768, 1.0]
    assert notes == [f"{to}: going on after 512 of 1,000 examples"]


def test_what_ctrl_c_or_a_full_disk_leaves_is_gone_on_with(tmp_path, monkeypatch):
    source, to = saved(tmp_path / "x.npy", IMAGES), tmp_path / "codes.npz"
    expected, _, _ = encoded(source, to, batch_size=200)
    with pytest.raises(Stopped):
        encoded(source, to, batch_size=200, progress=stopping(0.3))

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(ValueError, match=r"cannot be written: No space left") as no:
        patch.setattr(os, "fsync", full)
        encoded(source, to, batch_size=200)
    assert "\n" not in str(no.value) and to.read_bytes() == expected
    found, notes, _ = encoded(source, to, batch_size=200)
    assert found == expected and notes == [f"{to}: going on after 400 of 1,000 examples"]


@pytest.mark.parametrize("change", ["input", "batch size", "export", "damaged"])
def test_what_has_changed_is_begun_anew(tmp_path, monkeypatch, change):
    source, to = saved(tmp_path / "x.npy", IMAGES), tmp_path / "codes.npz"
    with pytest.raises(Stopped):
        encoded(source, to, progress=stopping(0.5))
    said, options = f"beginning anew: changed since: {change}", {}
    if change == "input":
        # Of the same size: the time tells.
        saved(tmp_path / "x.npy", IMAGES[::-1])
    elif change == "batch size":
        options = {"batch_size": 250}
    elif change == "export":
        monkeypatch.setattr(encoding, "CARD", "README.md")
    else:
        (tmp_path / HIDDEN / "scale").write_bytes(b"short")
        said = "beginning anew: what was kept of it is damaged"
    found, notes, shares = encoded(source, to, **options)
    assert len(notes) == 1 and notes[0].endswith(said) and len(shares) == 4
    assert found == encoded(source, to, **options)[0]


def test_two_processes_do_not_encode_to_one_file(tmp_path):
    source, to = saved(tmp_path / "x.npy", IMAGES), tmp_path / "codes.npz"
    second = []

    def progress(_, done):
        with pytest.raises(ValueError, match=r"codes\.npz: is being written by another process") as no:
            encoding.encode_file(EXPORT, source, to)
        second.append(str(no.value))

    expected, _, _ = encoded(source, tmp_path / "alone.npz")
    assert encoded(source, to, progress=progress)[0] == expected
    assert len(second) == 4


# ── Mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"x\.npy, examples 512 to 767: 1 pixels are NaN or infinite, the first at index \(700, 3, 4, 0\)$"),
        (1.5, r"x\.npy, examples 512 to 767: float pixels must lie in \[0, 1\], found \[0, 1\.5\]"),
    ],
)
def test_a_wrong_value_far_behind_names_its_row_and_leaves_no_codes(tmp_path, monkeypatch, value, message):
    card = encoding.Card.read(EXPORT).model_copy(update={"support": "unit_interval"})
    monkeypatch.setattr(encoding.Card, "read", lambda _: card)
    monkeypatch.setattr(values, "BLOCK", 64)
    wrong = FLOATS.copy()
    wrong[700, 3, 4] = value
    shares = []
    with pytest.raises(ValueError, match=message):
        encoded(saved(tmp_path / "x.npy", wrong), tmp_path / "codes.npz", progress=lambda _, done: shares.append(done))
    assert shares == [0.256, 0.512] and os.listdir(tmp_path) == ["x.npy"]


def test_a_number_beyond_float32_names_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(values, "BLOCK", 64)
    wrong = FLOATS.astype(np.float64)
    wrong[700, 3, 4] = 1e300
    with pytest.raises(ValueError, match=r"as float32: 1 pixels .* at index \(700, 3, 4, 0\)$"):
        encoded(saved(tmp_path / "x.npy", wrong), tmp_path / "codes.npz")


def test_a_source_that_changes_on_the_way_is_refused(tmp_path):
    source = saved(tmp_path / "x.npy", IMAGES)
    with pytest.raises(ValueError, match=r"x\.npy: has changed while it was encoded"):
        encoded(source, tmp_path / "codes.npz", progress=lambda *_: os.utime(source, (0, 0)))
    assert os.listdir(tmp_path) == ["x.npy"]


def test_a_file_that_is_damaged_behind_its_start_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(values, "BLOCK", 64)
    path = tmp_path / "x.npz"
    saved(path, IMAGES)
    content = bytearray(path.read_bytes())
    content[400_000] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.npz: images cannot be read: Bad CRC-32"):
        encoded(str(path), tmp_path / "codes.npz")


@pytest.mark.slow
def test_wrong_shapes_do_not_wait_for_tensorflow(tmp_path):
    saved(tmp_path / "wide.npy", np.zeros([3, 28, 30, 1], np.uint8))
    saved(tmp_path / "complex.npy", np.zeros([3, 28, 28, 1], complex))
    (tmp_path / "empty").mkdir()
    lines = {
        "wide.npy": "holds images of 28x30x1, but 28x28x1",
        "complex.npy": "pixels of type complex128",
        "empty": "empty holds no pictures",
    }
    code = (
        "import sys\nsys.argv = ['zoo']\nfrom zoo.cli import main\n"
        f"for name in {list(lines)!r}:\n"
        f"    sys.argv = ['zoo', 'encode', {str(EXPORT)!r}, name]\n"
        "    try:\n        main()\n    except SystemExit as end:\n        assert end.code == 2, name\n"
        "    assert not {'tensorflow', 'keras'} & {*sys.modules}, name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert [wanted in line for line, wanted in zip(said, lines.values(), strict=True)] == [True] * 3


# ── Memory ───────────────────────────────────────────────────────────────────────────────────────────────────────


def peak_of(count, folder):
    source = folder / f"{count}.npy"
    np.lib.format.open_memmap(source, "w+", np.uint8, (count, 28, 28, 1)).flush()
    tracemalloc.start()
    encoding.encode_file(EXPORT, str(source), folder / "codes.npz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_more_examples_need_no_more_memory(tmp_path):
    peak_of(10, tmp_path)
    few, many = peak_of(5000, tmp_path), peak_of(30_000, tmp_path)
    # The whole has 23.5 MB.
    assert many < few + 1e6 and many < 10e6
