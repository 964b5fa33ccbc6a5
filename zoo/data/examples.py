"""What every reader returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from zoo.data.splits import Part


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples in memory, and what is known of them. `images, labels = examples` takes the pair.

    Attributes:
        images: The examples. Images [n, h, w, c] are uint8 in 0..255; float32 for `gaussians`, and where the user's own
            file holds floats. Features [n, ...] are float32.
        labels: [n] int64, or `None`.
        names: The files of the examples, [n] text, relative to their folder; `None` where they do not come from files.
        class_names: What the labels 0, 1, … stand for; empty where they are numbers.
        columns: What the features of a table are called, in their order; empty where that is not known.
        parts: Which examples of the data set a split string meant; empty for others.
    """

    images: np.ndarray
    labels: np.ndarray | None
    names: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    def __iter__(self) -> Iterator[Any]:
        return iter((self.images, self.labels))

    def take(self, rows: np.ndarray | slice) -> Examples:
        """Returns the examples in these rows."""
        labels, names = (None if each is None else each[rows] for each in (self.labels, self.names))
        return replace(self, images=self.images[rows], labels=labels, names=names, parts=())

    def classes(self) -> np.ndarray | None:
        """Returns the class of each example as it is to be shown: names where they are known, else numbers; [n]."""
        import numpy as np

        if self.labels is None or not self.class_names:
            return self.labels
        return np.array(self.class_names)[self.labels]

    @staticmethod
    def concatenate(parts: list[Examples], where: str) -> Examples:
        """Puts examples one after the other; `where` holds them, for messages.

        Raises:
            ValueError: If they differ in shape, in type, or in having labels.
        """
        import numpy as np

        if len(parts) == 1:
            return parts[0]
        kinds = {(each.images.shape[1:], str(each.images.dtype), each.labels is not None) for each in parts}
        if len(kinds) > 1:
            listed = sorted(f"{shape} {dtype} {'with' if has else 'without'} labels" for shape, dtype, has in kinds)
            raise ValueError(f"{where}: splits that are added must be alike, got {' and '.join(listed)}")
        labels = [each.labels for each in parts if each.labels is not None]
        names = [each.names for each in parts if each.names is not None]
        return replace(
            parts[0],
            images=np.concatenate([each.images for each in parts]),
            labels=np.concatenate(labels) if labels else None,
            names=np.concatenate(names) if len(names) == len(parts) else None,
        )
