"""The data sets that the zoo knows by name: what they hold, their default splits and where they come from.

Importing this module imports neither TensorFlow nor NumPy, so that the command line can list data sets and
reject a misspelt one at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zoo.parameters import nearest

TABLE = ".csv"

KINDS = ("images", "features")
"""What x can be: pixels, or real numbers of any shape and sign (tables, series, spectra)."""

BINARIZE = (None, "fixed", "dynamic")
"""What `binarize` may be: gray pixels, pixels drawn once, or pixels drawn afresh in every epoch."""

_CELEB_A_ATTRIBUTES = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair Blurry
Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male
Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks
Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace
Wearing_Necktie Young
"""


def _splits(train: str, validation: str, test: str) -> dict[str, str]:
    return {"train": train, "validation": validation, "test": test}


@dataclass(frozen=True)
class Source:
    """A data set that `zoo.data.load` reads.

    Attributes:
        name: The name in configurations and on the command line.
        shape: Of an example: height, width and channels of an image when nothing else is asked for.
        classes: How many values the default label takes; `None` without one.
        splits: The split strings that a configuration gets for `train`, `validation` and `test` when it names none.
        description: One line for a list of data sets.
        licence: Under what terms the data are offered, as far as their home page says.
        homepage: Where the data set is described.
        tfds: Its name in TensorFlow Datasets; `None` where it does not come from there.
        labels: The names that `labels=` may take.
        default_label: The one that is read unless another is named; `None` reads none.
        kind: What its examples are, one of `KINDS`; of `files`, what they are unless the user says otherwise.
        sizes: The number of examples of each of its own splits; empty for `files`.
    """

    name: str
    shape: tuple[int, ...]
    classes: int | None
    splits: dict[str, str] = field(hash=False)
    description: str
    licence: str
    homepage: str
    tfds: str | None = None
    labels: tuple[str, ...] = ("label",)
    default_label: str | None = "label"
    kind: str = "images"
    sizes: Mapping[str, int] = field(default_factory=dict, hash=False)


_SOURCES = (
    Source(
        name="digits",
        shape=(28, 28, 1),
        classes=10,
        splits=_splits("train", "validation", "test"),
        sizes={"train": 1197, "validation": 300, "test": 300},
        description="1,797 handwritten digits of scikit-learn, enlarged from 8x8; embedded, no download",
        licence="CC BY 4.0",
        homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    ),
    Source(
        name="gaussians",
        shape=(10, 10, 1),
        classes=None,
        splits=_splits("train", "validation", "test"),
        sizes={"train": 10_000, "validation": 2000, "test": 2000},
        description="14,000 draws of a spherical Gaussian in 100 dimensions, as 10x10 floats; embedded, no labels",
        licence="none needed: they are random numbers",
        homepage="https://arxiv.org/abs/1907.10430",
        labels=(),
        default_label=None,
    ),
    Source(
        name="noise",
        shape=(28, 28, 1),
        classes=None,
        splits=_splits("train", "validation", "test"),
        sizes={"train": 10_000, "validation": 2000, "test": 2000},
        description="14,000 images of independent uniform grey values, in which nothing can be learnt; embedded",
        licence="none needed: they are random numbers",
        homepage="",
        labels=(),
        default_label=None,
    ),
    Source(
        name="wine",
        shape=(13,),
        classes=3,
        splits=_splits("train", "validation", "test"),
        sizes={"train": 118, "validation": 30, "test": 30},
        description="178 wines of scikit-learn, a table of 13 measurements and the grower; embedded, no download",
        licence="CC BY 4.0",
        homepage="https://archive.ics.uci.edu/dataset/109/wine",
        kind="features",
    ),
    Source(
        name="waves",
        shape=(50, 3),
        classes=3,
        splits=_splits("train", "validation", "test"),
        sizes={"train": 2000, "validation": 500, "test": 500},
        description="3,000 series of 50 steps in 3 channels, noisy sines of three factors; embedded",
        licence="none needed: they are computed",
        homepage="",
        kind="features",
    ),
    Source(
        name="mnist",
        shape=(28, 28, 1),
        classes=10,
        splits=_splits("train[:55000]", "train[55000:]", "test"),
        sizes={"train": 60_000, "test": 10_000},
        description="70,000 handwritten digits",
        licence="not stated by its authors",
        homepage="http://yann.lecun.com/exdb/mnist/",
        tfds="mnist",
    ),
    Source(
        name="binarized_mnist",
        shape=(28, 28, 1),
        classes=None,
        splits=_splits("train", "validation", "test"),
        sizes={"train": 50_000, "validation": 10_000, "test": 10_000},
        description="MNIST binarised once by Larochelle and Murray (2011); no labels",
        licence="not stated by its authors",
        homepage="http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
        tfds="binarized_mnist",
        labels=(),
        default_label=None,
    ),
    Source(
        name="fashion_mnist",
        shape=(28, 28, 1),
        classes=10,
        splits=_splits("train[:55000]", "train[55000:]", "test"),
        sizes={"train": 60_000, "test": 10_000},
        description="70,000 pictures of clothes in ten classes",
        licence="MIT",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        tfds="fashion_mnist",
    ),
    Source(
        name="emnist",
        shape=(28, 28, 1),
        classes=47,
        splits=_splits("train[:90%]", "train[90%:]", "test"),
        sizes={"train": 112_800, "test": 18_800},
        description="131,600 handwritten letters and digits in 47 balanced classes, turned upright",
        licence="not stated by its authors",
        homepage="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        tfds="emnist/balanced",
    ),
    Source(
        name="cifar10",
        shape=(32, 32, 3),
        classes=10,
        splits=_splits("train[:45000]", "train[45000:]", "test"),
        sizes={"train": 50_000, "test": 10_000},
        description="60,000 small colour photographs in ten classes",
        licence="not stated by its authors",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        tfds="cifar10",
    ),
    Source(
        name="omniglot",
        shape=(28, 28, 1),
        classes=1623,
        splits=_splits("train[:90%]", "train[90%:]", "test"),
        sizes={"train": 19_280, "test": 13_180, "small1": 2720, "small2": 3120},
        description="32,460 handwritten characters of 50 alphabets, bright strokes, shrunk from 105x105",
        licence="MIT",
        homepage="https://github.com/brendenlake/omniglot",
        tfds="omniglot",
        labels=("label", "alphabet"),
    ),
    Source(
        name="celeb_a",
        shape=(64, 64, 3),
        classes=None,
        splits=_splits("train", "validation", "test"),
        sizes={"train": 162_770, "validation": 19_867, "test": 19_962},
        description="202,599 aligned faces, the middle 140x140 shrunk to 64x64 (or `size`)",
        licence="non-commercial research only",
        homepage="http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        tfds="celeb_a",
        labels=tuple(_CELEB_A_ATTRIBUTES.split()),
        default_label=None,
    ),
    Source(
        name="files",
        shape=(28, 28, 1),
        classes=None,
        splits=_splits("all[:80%]", "all[80%:90%]", "all[90%:]"),
        description="your own: images in a .npy or .npz file or a folder, a .csv table, other arrays (give `path`)",
        licence="yours",
        homepage="",
    ),
)

CATALOGUE: dict[str, Source] = {entry.name: entry for entry in _SOURCES}


def kind_of(chosen: Source, path: object = None, kind: str | None = None) -> str:
    """What the examples of a data set are: `images` or `features`.

    Args:
        chosen: The data set.
        path: Of the user's own files. A .csv file holds features.
        kind: What the user says; only arrays of numbers can be either.

    Raises:
        ValueError: If the data set cannot be of the kind that the user says.
    """
    if kind not in (None, *KINDS):
        raise ValueError(f"unknown kind {kind!r}; {nearest(str(kind), KINDS)}")
    table = str(path).lower().endswith(TABLE)
    own = "features" if table else chosen.kind
    if kind not in (None, own) and (table or chosen.name != "files"):
        raise ValueError(f"{path if table else chosen.name} holds {own}, not {kind}")
    return kind or own


def check_preparation(
    kind: str,
    path: object,
    for_images: Mapping[str, object],
    label_column: str | None,
    standardize: bool | None = None,
) -> None:
    """Raises ValueError, beginning with the option, for a preparation that examples of a kind do not have.

    Args:
        kind: `images` or `features`.
        path: Of the user's own files.
        for_images: Options by name that only images take; `None` where they are not given.
        label_column: Only a .csv file takes one.
        standardize: Only features can be.
    """
    given = [name for name, value in for_images.items() if value is not None]
    if kind == "features" and given:
        raise ValueError(f"{given[0]}: is for images, and these are features")
    if label_column is not None and not str(path).lower().endswith(TABLE):
        raise ValueError(f"label_column: is for a {TABLE} file; .npz files have an array `labels`")
    if for_images.get("skip_unreadable") and (path is None or str(path).lower().endswith((".npy", ".npz"))):
        raise ValueError("skip_unreadable: is for a folder of pictures")
    if standardize and kind == "images":
        raise ValueError("standardize: is for features; images are brought to the unit interval anyway")


def is_table(chosen: Source, path: object = None) -> bool:
    """Whether each example is a row whose columns have units of their own, so that they are best standardised."""
    return str(path).lower().endswith(TABLE) or (chosen.kind == "features" and len(chosen.shape) == 1)


def source(name: str) -> Source:
    """Returns the data set called `name`; its TFDS name ("emnist/balanced") will do as well.

    Raises:
        ValueError: If there is none of that name; the message offers the nearest ones.
    """
    for entry in _SOURCES:
        if name in (entry.name, entry.tfds):
            return entry
    raise ValueError(f"unknown data set {name!r}; {nearest(name, CATALOGUE)}")
