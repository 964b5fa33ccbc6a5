"""Loads an export in a fresh virtual environment that has TensorFlow only, and compares its codes with the model's.

    python benchmarks/export_fresh_environment.py             # digits/contrastive, trained for two epochs first
    python benchmarks/export_fresh_environment.py --run RUN   # a run that is there

Prints the greatest absolute difference of loc and scale for batches of 1, 7 and 256, as uint8, float32 and float64.
Exit code 1 if one exceeds 1e-5. Installing TensorFlow takes a minute or two and 1.5 GB of a temporary folder.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from zoo.cli import load_tensorflow

ROOT = Path(__file__).parent.parent
TOLERANCE = 1e-5
BATCHES = (1, 7, 256)
DTYPES = ("uint8", "float32", "float64")

ALONE = """
import sys
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
images = np.load(sys.argv[2])["images"]
out = {}
for n in (1, 7, 256):
    for dtype in ("uint8", "float32", "float64"):
        x = images[:n] if dtype == "uint8" else (images[:n] / 255).astype(dtype)
        codes = model.encode(x)
        out[f"loc {n} {dtype}"], out[f"scale {n} {dtype}"] = codes["loc"], codes["scale"]
np.savez(sys.argv[3], **out)
found = [name for name in ("zoo", "tensorflow_probability", "tf_keras", "sklearn") if name in sys.modules]
assert not found, found
print(tf.__version__)
"""


def fresh_environment(folder: Path) -> Path:
    """Makes a virtual environment with the pinned TensorFlow and nothing else; returns its interpreter."""
    pinned = re.search(r"^tensorflow==\S+$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned, "requirements.txt does not pin tensorflow"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    began = time.perf_counter()
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-cache-dir", pinned[0]], check=True)
    print(f"fresh environment with {pinned[0]}: {time.perf_counter() - began:.0f} s")
    for package in ("zoo", "tensorflow_probability", "tf_keras"):
        absent = subprocess.run([python, "-I", "-c", f"import {package}"], capture_output=True, check=False)
        assert absent.returncode, f"the fresh environment has {package}"
    return python


def main() -> int:
    """Exports, loads elsewhere, compares; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="the directory of a finished run")
    given = parser.parse_args().run
    load_tensorflow()
    import numpy as np

    from zoo import experiments
    from zoo.experiments import configurations
    from zoo.experiments.run_directory import RunDirectory

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = given
        if path is None:
            path = folder / "run"
            experiment = configurations.load("digits/contrastive", ["train.epochs=2", "watch.pictures=false"])
            experiments.train(experiment, RunDirectory(path), quiet=True)
        directory = RunDirectory.open(path)
        export = experiments.export_run(path, folder / "export")
        size = sum(file.stat().st_size for file in export.rglob("*") if file.is_file())
        print(f"export: {size / 1e6:.2f} MB")
        model = experiments.load_model(directory)
        images = experiments.load_split(directory.experiment(), "train").images[: max(BATCHES)]
        np.savez(folder / "given.npz", images=images)

        python = fresh_environment(folder / "venv")
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        command = [python, "-I", "-c", ALONE, export, folder / "given.npz", folder / "out.npz"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr)
            return 1
        out = np.load(folder / "out.npz")
        greatest = 0.0
        for n in BATCHES:
            for dtype in DTYPES:
                x = images[:n] if dtype == "uint8" else (images[:n] / 255).astype(dtype)
                posterior = model.encode(x)
                loc = float(np.abs(out[f"loc {n} {dtype}"] - posterior.loc).max())
                scale = float(np.abs(out[f"scale {n} {dtype}"] - posterior.scale).max())
                print(f"batch of {n:3}, {dtype:7}: loc {loc:.1e}, scale {scale:.1e}")
                greatest = max(greatest, loc, scale)
    print(f"greatest difference {greatest:.1e} (allowed {TOLERANCE:.0e}), TensorFlow {done.stdout.strip()} alone")
    return int(not greatest <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
