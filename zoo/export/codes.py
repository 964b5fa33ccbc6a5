"""Codes on their way to a .npz file: they go to the disk as they come, and what a kill left is gone on with."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from zoo.files import PARTIAL, locked

# A kill costs no more than the work of so many seconds.
_SECONDS = 2.0
_ARRAYS = ("loc", "scale")


class UnwritableError(ValueError):
    """The codes cannot be written; one line."""


class Origin(BaseModel):
    """What the bytes of codes depend on.

    Attributes:
        export: digest of the export's card, which has the checksum of its files.
        input: fingerprint of the examples.
        batch_size: examples encoded at once; sums over a batch of another size may be rounded otherwise.
        software: versions of the packages.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    export: str
    input: str
    batch_size: int
    software: dict[str, str]


class _Progress(BaseModel):
    """How far the encoding is, as it stands in the file.

    Attributes:
        origin: of the codes.
        done: examples of the source that were read.
        left_out: rows of those that could not be read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    origin: Origin
    done: int = 0
    left_out: list[int] = []


class Codes:
    """The codes of a source in its order, in a hidden folder beside the .npz file that they become; see `writing`.

    Attributes:
        begun_anew: what has changed since an encoding that was killed; empty if nothing is lost.
    """

    def __init__(self, folder: Path, to: Path, latent_dim: int, origin: Origin) -> None:
        self._folder, self._to, self._latent_dim = folder, to, latent_dim
        self._state, self._saved = folder / "progress.json", time.monotonic()
        self._progress = _Progress(origin=origin)
        self.begun_anew = self._find()
        if not self.done:
            self._state.unlink(missing_ok=True)
        self._files = {name: self._opened(name) for name in _ARRAYS}

    @property
    def done(self) -> int:
        """Examples of the source that were read."""
        return self._progress.done

    @property
    def left_out(self) -> list[int]:
        """The rows of those that could not be read."""
        return self._progress.left_out

    def _written(self) -> int:
        return self.done - len(self.left_out)

    def _find(self) -> str:
        """Takes up what a kill left, if it is of the same origin; returns what has changed otherwise."""
        try:
            found = _Progress.model_validate_json(self._state.read_bytes())
        except FileNotFoundError:
            return ""
        except ValidationError:
            return "what was kept of it is damaged"
        origin = self._progress.origin
        if changed := [name for name in Origin.model_fields if getattr(found.origin, name) != getattr(origin, name)]:
            return f"changed since: {', '.join(changed)}".replace("_", " ")
        needed = (found.done - len(found.left_out)) * self._latent_dim * 4
        if any(
            not (self._folder / name).is_file() or (self._folder / name).stat().st_size < needed for name in _ARRAYS
        ):
            return "what was kept of it is damaged"
        self._progress = found
        return ""

    def _opened(self, name: str) -> IO[bytes]:
        """A file of rows behind those that are known to be on the disk."""
        file = (self._folder / name).open("ab")
        file.truncate(self._written() * self._latent_dim * 4)
        return file

    def append(self, loc: np.ndarray, scale: np.ndarray, done: int, left_out: list[int]) -> None:
        """Adds codes, float32 [m, d] each.

        Args:
            loc: means.
            scale: standard deviations.
            done: examples of the source that were read by now.
            left_out: rows of those, since the last call, that could not be read.

        Raises:
            UnwritableError: the disk is full, or cannot be written.
        """
        with _writing_to(self._to):
            for name, rows in zip(_ARRAYS, (loc, scale), strict=True):
                self._files[name].write(np.ascontiguousarray(rows, "<f4").data)
        # At once, for Ctrl-C may come between any two lines.
        self._progress = _Progress(origin=self._progress.origin, done=done, left_out=self.left_out + left_out)
        if time.monotonic() - self._saved >= _SECONDS:
            self.save()

    def save(self) -> None:
        """Waits until all codes are on the disk, and notes how many there are."""
        progress, new = self._progress, self._state.with_suffix(".new")
        with _writing_to(self._to):
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
            new.write_text(progress.model_dump_json(), encoding="utf-8")
            new.replace(self._state)
        self._saved = time.monotonic()

    def finish(self, known: dict[str, np.ndarray]) -> None:
        """Puts the .npz file in place, as `numpy.savez` writes it, without taking the codes into memory.

        Args:
            known: the other arrays.
        """
        self.save()
        new, shape = self._folder / self._to.name, (self._written(), self._latent_dim)
        with _writing_to(self._to):
            with zipfile.ZipFile(new, "w") as archive:
                for name in _ARRAYS:
                    with _member(archive, name) as member, (self._folder / name).open("rb") as raw:
                        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                        np.lib.format.write_array_header_1_0(member, header)
                        shutil.copyfileobj(raw, member, 2**20)
                for name, array in known.items():
                    with _member(archive, name) as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
            new.replace(self._to)
        self.discard()

    def close(self) -> None:
        """Keeps what there is for the next time, if there is anything."""
        kept = self._folder.is_dir() and self.done > 0
        # Why the disk cannot be written has been said by then.
        if kept:
            with suppress(UnwritableError):
                self.save()
        for file in self._files.values():
            with suppress(OSError):
                file.close()
        if not kept:
            self.discard()

    def discard(self) -> None:
        """Removes the hidden folder."""
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def writing(to: Path, latent_dim: int, origin: Origin) -> Iterator[Codes]:
    """The codes for a .npz file, also those that an encoding of the same origin has left that was killed.

    If a value is wrong, all that was written is removed; after any other error and Ctrl-C it is kept.

    Args:
        to: the .npz file; it stays as it was until the codes are finished.
        latent_dim: dimensions of a code.
        origin: what the codes depend on.

    Raises:
        ValueError: another process encodes to the same file.
        UnwritableError: the folder of the file cannot be written.
    """
    given, to = to, to.resolve()
    # No eight letters: `zoo.files.clear_beside` takes such folders for its own.
    folder = to.parent / f".{to.name}.codes{PARTIAL}"
    with ExitStack() as held:
        with _writing_to(given):
            folder.mkdir(exist_ok=True)
            try:
                held.enter_context(locked(folder / "lock"))
            except BlockingIOError:
                raise ValueError(f"{given}: is being written by another process; wait for it, or stop it") from None
            codes = Codes(folder, to, latent_dim, origin)
        held.callback(codes.close)
        try:
            yield codes
        except UnwritableError:
            raise
        except ValueError:
            codes.discard()
            raise


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    # As NumPy does it; the date is always the same.
    return archive.open(f"{name}.npy", "w", force_zip64=True)


@contextmanager
def _writing_to(to: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnwritableError(f"{to}: cannot be written: {error.strerror or error}") from None
