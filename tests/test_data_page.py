"""The files of docs/data.md train as they stand, and its table has every key."""

import re
from pathlib import Path

import numpy as np
import pytest
from test_data_tfds import IMAGE, LABEL, prepare

from zoo.experiments.sections import Data

pytestmark = pytest.mark.slow

TEXT = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
FILES = {block.split()[1]: block for block in re.findall(r"^```yaml\n(# .*?)^```", TEXT, flags=re.M | re.S)}
NAMES = {
    "pictures.yaml": ["cats", "dogs"],
    "series.yaml": ["down", "up"],
    "soil.yaml": ["dry", "wet"],
    "clothes.yaml": [
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ],
}


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """A folder with the files of the page and the data that it makes."""
    monkeypatch.chdir(tmp_path)
    for name, block in FILES.items():
        Path(name).write_text(block, encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.M | re.S)
    exec(compile(code, "docs/data.md", "exec"), {})
    return tmp_path


def test_every_key_stands_in_the_table():
    table = TEXT.partition("## Every key")[2]
    first = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(first))) == sorted(Data.model_fields)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_trains_as_it_stands(command, beside, monkeypatch, name):
    assert set(FILES) == set(NAMES)
    if name == "clothes.yaml":
        monkeypatch.setenv("TFDS_DATA_DIR", str(beside))
        images = np.random.default_rng(0).integers(0, 256, (300, 28, 28, 1), dtype=np.uint8)
        examples = [{"image": image, "label": index % 10} for index, image in enumerate(images)]
        features = {"image": IMAGE(shape=(28, 28, 1)), "label": LABEL(num_classes=10)}
        prepare(beside, "fashion_mnist", "3.0.1", features, {"train": examples, "test": examples[:20]})
    # From another folder, as the paths are relative to the file.
    (beside / "elsewhere").mkdir()
    monkeypatch.chdir(beside / "elsewhere")
    code, out, err = command("doctor", beside / name)
    assert code in (0, 1) and "data, every example read:" in out, err
    assert "✗" not in out
    shorter = ("--set", "train.epochs=1", "watch.pictures=false")
    code, _, err = command("train", beside / name, "--run-dir", "run", "--quiet", *shorter)
    assert code == 0, err
    rows = next(Path("run").rglob("images.tsv")).read_text().splitlines()[1:]
    labels = {row.split("\t")[0] for row in rows}
    assert labels <= set(NAMES[name]) and len(labels) > 1
