"""Features: real numbers of any shape and sign, such as rows of a table, time series, spectra."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from zoo.domains.domain import Domain

if TYPE_CHECKING:
    import tensorflow as tf

# Examples that a picture shows, and series of each.
_SHOWN, _CHANNELS = 12, 8


@keras.saving.register_keras_serializable("zoo")
class Features(Domain):
    """Real numbers [n, ...]; each example is a vector, a series [steps, channels], or any other array.

    With `loc` and `scale` the networks and the likelihood see (x − loc) / scale, inside the step: data in their own
    units go in, and reconstructions and samples are in units of `scale` (see `restore`).

    Args:
        loc: a number for each entry of the last axis; 0 by default.
        scale: likewise, above 0; 1 by default.
        columns: the name of each entry of the last axis, where a table has named them: exports hold tables to it.

    Raises:
        ValueError: a scale that is not positive and finite, or another number of means, scales or names.
    """

    noun = "features"
    supports = ("real", "unit_interval")

    def __init__(self, loc: Any = None, scale: Any = None, columns: Sequence[str] = ()) -> None:
        self.loc = None if loc is None else np.asarray(loc, np.float32)
        self.scale = None if scale is None else np.asarray(scale, np.float32)
        if self.scale is not None and not (np.isfinite(self.scale).all() and (self.scale > 0).all()):
            raise ValueError("Features: scale: must be positive and finite for every entry")
        if self.loc is not None and self.scale is not None and self.loc.shape != self.scale.shape:
            raise ValueError(f"Features: {self.loc.size} means, but {self.scale.size} scales")
        self.columns = tuple(columns or ())
        if self.columns and self.loc is not None and len(self.columns) != self.loc.size:
            raise ValueError(f"Features: {self.loc.size} means, but {len(self.columns)} columns")

    @classmethod
    def standardising(cls, x: np.ndarray) -> Features:
        """Features that are brought to mean 0 and standard deviation 1, for each entry of the last axis.

        Args:
            x: the training set, [n, ...].

        Warns:
            UserWarning: an entry that never changes, which is not scaled.
        """
        from zoo.data.values import statistics

        return cls(*statistics(x))

    def check(self, x: np.ndarray, where: str, support: str = "real") -> None:
        """Numbers of rank 2 or more, finite, in the unit interval where the likelihood needs it.

        Warns:
            UserWarning: bytes as those of flattened images, which nothing scales here.
        """
        from zoo.data.values import check_features

        check_features(x, where=where)
        if support == "unit_interval":
            seen = x if self.loc is None and self.scale is None else self.prepared(x)
            if seen.min() < 0 or seen.max() > 1:
                standardised = "" if seen is x else " once they are standardised"
                raise ValueError(
                    f"{where}: the likelihood takes features in [0, 1], found [{seen.min():g}, {seen.max():g}]"
                    f"{standardised}; use 'gaussian', or scale them"
                )
        if x.dtype == np.uint8 and self.scale is None and x.max() > 1:
            warnings.warn(
                f"{where}: features of type uint8 are taken as they are, {x.min()}..{x.max()}; if they are pixels up "
                "to 255, give images [n, height, width, channels], or divide by 255",
                stacklevel=2,
            )

    def prepare(self, x: tf.Tensor) -> tf.Tensor:
        """float32, less `loc`, over `scale`."""
        x = super().prepare(x)
        x = x if self.loc is None else x - self.loc
        return x if self.scale is None else x / self.scale

    def restore(self, x: Any) -> Any:
        """Prepared features, such as reconstructions, in their own units."""
        x = x if self.scale is None else x * self.scale
        return x if self.loc is None else x + self.loc

    def views(self, support: str = "real") -> list[keras.layers.Layer]:
        """Noise and masking; masking alone where the noise would leave the unit interval."""
        from zoo.augmentation.features import AddNoise, MaskEntries

        return [MaskEntries(0.2)] if support == "unit_interval" else [AddNoise(0.2), MaskEntries(0.2)]

    def transformations(self, support: str = "real") -> list[keras.layers.Layer]:
        """Noise and a change of scale; masking where they would leave the unit interval."""
        from zoo.augmentation.features import AddNoise, MaskEntries, Rescale

        return [MaskEntries(0.1)] if support == "unit_interval" else [AddNoise(0.1), Rescale(0.1)]

    def draw(self, x: np.ndarray, below: np.ndarray | None = None) -> np.ndarray:
        """Curves, a panel for each example; what it is compared with is dashed."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        n = min(_SHOWN, len(x))
        figure = Figure(figsize=(9, 1.6 * -(-n // 4)), dpi=80, layout="constrained")
        for i in range(n):
            axes = figure.add_subplot(-(-n // 4), 4, i + 1)
            for style, values in (("-", x), ("--", below)):
                if values is not None:
                    example = np.asarray(values[i], np.float32)
                    curves = example.reshape(len(example), -1)[:, :_CHANNELS]
                    axes.set_prop_cycle(None)
                    axes.plot(curves, style, linewidth=1, marker="." if example.ndim == 1 else None)
            axes.tick_params(labelsize=6)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        numbers = {name: None if (v := getattr(self, name)) is None else v.tolist() for name in ("loc", "scale")}
        return numbers | ({"columns": list(self.columns)} if self.columns else {})
