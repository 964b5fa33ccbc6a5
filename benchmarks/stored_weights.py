"""What float16 on the disk does to codes: exports of this folder against the models that they were made of.

    python exports/make.py digits/vae && python benchmarks/stored_weights.py digits/vae

The runs lie in runs/exports, where exports/make.py trains them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import zoo
from zoo.export.finding import EXPORTS

RUNS = Path("runs") / "exports"


def main() -> None:
    """Prints a row for each export."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NAME", help="such as digits/vae")
    print("| export | MB | loc | loc, in posterior scales | scale, share |\n|---|---:|---:|---:|---:|")
    for name in parser.parse_args().names:
        x = zoo.data.load(name.partition("/")[0], "test").images
        own = zoo.load_model(RUNS / name / "model.keras").posteriors(x)
        stored = {part: np.array(value) for part, value in zoo.load_encoder(name).encode(x).items()}
        gap = np.abs(stored["loc"] - own.loc)
        size = sum(path.stat().st_size for path in (EXPORTS / name).rglob("*") if path.is_file())
        share = np.abs(stored["scale"] / own.scale - 1).max()
        print(f"| {name} | {size / 1e6:.1f} | {gap.max():.4f} | {(gap / own.scale).max():.4f} | {share:.4f} |")


if __name__ == "__main__":
    main()
