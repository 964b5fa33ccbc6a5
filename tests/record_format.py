"""Writes an export and a `.keras` file of the present format, for versions to come: `python tests/record_format.py`.

`tests/exports/formatN.tar.gz` holds the export, the `.keras` file, and what they make of a few images. It is written
once, when N changes; `test_loading_exports.py` loads those of all formats.
"""

import io
import tarfile
import tempfile
from pathlib import Path

import keras
import numpy as np

import zoo
from zoo.export.card import FORMAT
from zoo.export.saved_model import export_model
from zoo.networks import build
from zoo.report.figures import portrait


def main() -> None:
    """Trains a small model, and writes the archive."""
    x = np.random.default_rng(0).random((64, 8, 8, 1), np.float32)
    encoder, decoder = build("mlp", x.shape[1:], latent_dim=3, width=24)
    model = zoo.VAE(encoder, decoder, latent_dim=3)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(x, epochs=20, batch_size=16, verbose=0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = io.BytesIO()
        portrait({"images": x[:4]}, zoo.metrics.rate_per_unit(*model.posteriors(x))).savefig(drawn, dpi=40)
        export_model(model, folder / "export", trainable=True, examples=x, portrait=drawn.getvalue())
        model.save(folder / "model.keras")
        codes = model.posteriors(x[:8])
        np.savez(folder / "codes.npz", x=x[:8], loc=codes.loc, scale=codes.scale)
        with tarfile.open(Path(__file__).parent / "exports" / f"format{FORMAT}.tar.gz", "w:gz") as file:
            for part in ("export", "model.keras", "codes.npz"):
                file.add(folder / part, part)


if __name__ == "__main__":
    main()
