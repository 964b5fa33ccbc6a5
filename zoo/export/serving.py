"""The folders that TensorFlow Serving reads: a model's, with one for each version. Nothing here imports TensorFlow."""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path

from zoo.files import PARTIAL


def put(export: Path, model: Path) -> Path:
    """Copies an export to be the next version of a model: the first is 1, then one more than the greatest.

    The version appears whole, for a server looks into the folder all the time and serves what it finds. Two processes
    get two versions.

    Args:
        export: the folder of an export, checked by the caller.
        model: the model's folder, under which the server knows it; it is made where there is none.

    Returns:
        The version's folder.

    Raises:
        OSError: it cannot be written.
    """
    model.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".version.", suffix=PARTIAL, dir=model))
    try:
        copy = Path(shutil.copytree(export, scratch / "copy"))
        while True:
            # Not the number of folders: a server may be told to keep the last few.
            version = model / str(1 + max((int(path.name) for path in model.iterdir() if _is_version(path)), default=0))
            try:
                return copy.rename(version)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_version(path: Path) -> bool:
    return path.name.isascii() and path.name.isdigit()
