"""Peak memory and images a second of `zoo encode` with `exports/digits/vae`, for different numbers of images.

Writes random uint8 images of 28×28×1 to a .npy file in a temporary folder, block by block, and encodes it by the
command line in a fresh process, whose peak memory the system tells. The rate is that of the images which the last
number has more than the first, so that the time of starting is in neither.

    python benchmarks/encoding.py --images 10000 1000000
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
EXPORT = ROOT / "exports" / "digits" / "vae"
SHAPE, BLOCK = (28, 28, 1), 10_000


def write(path, count):
    """Random images, of which no more than a block is in memory."""
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (count, *SHAPE))
    random = np.random.default_rng(0)
    for start in range(0, count, BLOCK):
        rows = images[start : start + BLOCK]
        rows[...] = random.integers(0, 256, rows.shape, np.uint8)
        images.flush()


def encode(images, folder):
    """Seconds and peak resident memory in MB of a `zoo encode` of so many images."""
    source, codes = folder / "images.npy", folder / "codes.npz"
    write(source, images)
    command = [sys.executable, "-m", "zoo", "encode", str(EXPORT), str(source), "--to", str(codes), "--quiet"]
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)})
    # Of this child alone; `getrusage` tells of the largest of all children.
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"zoo encode failed, status {os.waitstatus_to_exitcode(status)}")
    with np.load(codes) as found:
        assert found["loc"].shape[0] == images
    # Linux counts in KiB, macOS in bytes.
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 1_000_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'images':>10}{'seconds':>10}{'peak, MB':>10}")
        taken = []
        for count in options.images:
            seconds, peak = encode(count, Path(folder))
            taken.append(seconds)
            print(f"{count:>10,}{seconds:>10.1f}{peak:>10,.0f}", flush=True)
    if len(taken) > 1:
        print(f"{(options.images[-1] - options.images[0]) / (taken[-1] - taken[0]):,.0f} images a second")


if __name__ == "__main__":
    main()
