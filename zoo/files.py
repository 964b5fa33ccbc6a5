"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path, *, synced: bool = False) -> Iterator[Path]:
    """A path to write to, file or folder; what was written takes the target's place if all goes well.

    If anything fails, what was written is removed and the target stays as it was. The path has the target's name and
    lies in a hidden folder beside the target. That folder is new each time, so two processes never write to one.

    Args:
        target: The file or folder to write or to replace. Its parents are made.
        synced: Wait until the content is on the disk, so that it also survives a power cut.

    Yields:
        The path; nothing is there yet.

    Raises:
        OSError: If the target cannot be written.
    """
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    new, old = folder / target.name, folder / f"{target.name}.old"
    try:
        yield new
        if synced:
            _sync(new)
        if target.is_dir():
            # A folder cannot be renamed over one that holds something: for a moment there is none.
            target.rename(old)
            try:
                new.rename(target)
            except OSError:
                old.rename(target)
                raise
        else:
            new.replace(target)
    finally:
        # Where even the old one could not be put back, it stays in the hidden folder.
        if target.exists() or not old.exists():
            shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    """Waits until a file, or a folder with all that is in it, is on the disk."""
    for part in (*path.rglob("*"), path):
        descriptor = os.open(part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
