"""What a run's model makes of a few test images, kept beside its evaluation, for reports."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zoo.domains.pictures import as_uint8
from zoo.experiments.run_directory import RunDirectory, RunError
from zoo.files import replacing

if TYPE_CHECKING:
    from zoo.data import Examples
    from zoo.models.vae import VAE

# So many images, and so many samples of the prior.
COUNT = 10
# The arrays of a file may take so much memory: those of 30 images of a megapixel.
_LARGEST = 2**27


class Pictures(NamedTuple):
    """Images and what a model makes of them.

    Attributes:
        originals: uint8 [n, h, w, c].
        reconstructions: of the originals, likewise.
        samples: decoded from samples of the prior, likewise.
        classes: of the originals, by name where the data have names, else by number; empty without labels.
    """

    originals: np.ndarray
    reconstructions: np.ndarray
    samples: np.ndarray
    classes: tuple[str, ...] = ()


def take(model: VAE, held_out: Examples) -> Pictures | None:
    """Pictures of a model; which images are taken depends on how many there are alone. None for what is no picture.

    Args:
        model: trained.
        held_out: whose images are taken.

    Raises:
        ValueError: the model cannot sample.
    """
    from zoo.domains.images import Images

    if not isinstance(model.domain, Images) or held_out.images.shape[-1] not in (1, 3):
        return None
    rows = np.random.default_rng(0).permutation(len(held_out.images))[:COUNT]
    shown = held_out.take(rows)
    classes = shown.classes()
    try:
        arrays = [model.domain.prepared(shown.images), model.reconstruct(shown.images), model.sample(len(rows), seed=0)]
    except NotImplementedError as error:
        raise ValueError(str(error) or "the model cannot sample its prior") from None
    names = () if classes is None else tuple(map(str, classes))
    originals, reconstructions, samples = (as_uint8(np.asarray(array)) for array in arrays)
    return Pictures(originals, reconstructions, samples, names)


def write(run: RunDirectory, pictures: Pictures) -> None:
    """Keeps pictures in a run's directory, in place of older ones."""
    with replacing(run.pictures) as sibling, sibling.open("wb") as file:
        np.savez_compressed(file, **{**pictures._asdict(), "classes": np.array(pictures.classes, dtype=np.str_)})


def read(run: RunDirectory) -> Pictures | None:
    """The pictures of a run; None where its evaluation left none.

    Raises:
        RunError: a damaged file, or one of something else.
    """
    if not run.pictures.is_file():
        return None
    try:
        with zipfile.ZipFile(run.pictures) as packed:
            if sum(part.file_size for part in packed.infolist()) > _LARGEST:
                raise ValueError("it is too large")
        with np.load(run.pictures, allow_pickle=False) as stored:
            originals, reconstructions, samples = (stored[name] for name in Pictures._fields[:3])
            classes = tuple(map(str, stored["classes"]))
        for array in (originals, reconstructions, samples):
            if array.dtype != np.uint8 or array.ndim != 4 or array.shape != originals.shape or not array.size:
                raise ValueError("its arrays are no images")
        if array.shape[-1] not in (1, 3) or len(classes) not in (0, len(originals)):
            raise ValueError("its arrays are no images")
    except Exception as error:  # zipfile, zlib and NumPy have an error of their own for each kind of damage.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        again = f"remove it, and draw it anew: zoo evaluate {run.path} --metrics terms"
        raise RunError(f"{run.pictures}: is damaged ({reason}); {again}") from None
    return Pictures(originals, reconstructions, samples, classes)
