"""What every reader returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class Examples(NamedTuple):
    """Examples in memory, and their labels where there are any.

    Attributes:
        images: The examples. Images [n, h, w, c] are uint8 in 0..255; float32 for `gaussians`, and where the user's own
            file holds floats. Features [n, ...] are float32.
        labels: [n] int64, or `None`.
    """

    images: np.ndarray
    labels: np.ndarray | None

    def take(self, rows: np.ndarray | slice) -> Examples:
        """Returns the examples in these rows."""
        return Examples(self.images[rows], None if self.labels is None else self.labels[rows])

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
        return Examples(np.concatenate([each.images for each in parts]), np.concatenate(labels) if labels else None)
