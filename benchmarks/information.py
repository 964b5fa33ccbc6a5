"""Times the metrics of `zoo.metrics` on random posteriors and prints their peak memory.

Each row runs in a process of its own. `--posteriors` and `--dimensions` are paired: the n-th with the n-th, or one
number of dimensions for all. Memory is counted above the start of the process (all imports done), and above the inputs
that the metric was given.

    python benchmarks/information.py --draw docs/information_scale.png
    python benchmarks/information.py --posteriors 10000 60000 --dimensions 16 50 --scale 0.001
    python benchmarks/information.py --metrics knn_accuracy linear_accuracy --posteriors 60000 --dimensions 16
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

INFORMATION = ["decompose_rate", "mutual_information", "marginal_kl", "info_nce_bound"]
PROBES = ["knn_accuracy", "linear_accuracy", "softmax_accuracy", "svm_accuracy"]
ROOT = Path(__file__).resolve().parents[1]


def peak_bytes() -> int:
    """The largest resident memory of this process so far."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(metric: str, n: int, d: int, scale: float, **options: int) -> dict[str, float]:
    """One call in this process: seconds by the clock and of all cores, bytes above start and inputs, value."""
    import numpy as np

    import zoo.metrics

    function: Callable[..., Any] = getattr(zoo.metrics, metric)
    if metric in PROBES:
        import sklearn.linear_model
        import sklearn.neighbors
        import sklearn.svm  # noqa: F401 (its import is not what is measured)

        options = {"neighbours": min(200, n)} if metric == "knn_accuracy" else {}
    elif metric == "info_nce_bound":
        options = {}
    # The linear algebra library takes its threads' buffers at its first product.
    np.ones((512, 512)) @ np.ones((512, 512))
    start = peak_bytes()
    generator = np.random.default_rng(0)
    labels = generator.integers(10, size=n + n // 6)
    centres = generator.standard_normal((10, d), np.float32)
    codes = generator.standard_normal((len(labels), d), np.float32)
    codes += centres[labels]
    if metric in PROBES:
        arguments = [codes[:n], labels[:n], codes[n:], labels[n:]]
    else:
        arguments = [codes[:n], generator.random((n, d), np.float32) * np.float32(scale) + np.float32(scale / 2)]
    inputs, begin, work = peak_bytes(), time.perf_counter(), time.process_time()
    value = function(*arguments, **options)
    seconds, work = time.perf_counter() - begin, time.process_time() - work
    value = value.mutual_information if metric == "decompose_rate" else value
    start, inputs = peak_bytes() - start, peak_bytes() - inputs
    return {"seconds": seconds, "cpu": work, "start": start, "inputs": inputs, "value": value}


def measure_in_a_process(**arguments: object) -> dict[str, float]:
    """`measure` in a fresh process, so that no earlier row's memory hides this one's."""
    command = [sys.executable, __file__, "--child", json.dumps(arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(process.stdout)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Time and memory against the number of posteriors, both on logarithmic axes; readable in grey."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    n = [row["n"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    seconds = [row["seconds"] for row in rows]
    left.plot(n, seconds, "o-", color="black", label="by the clock")
    left.plot(n, [row["cpu"] for row in rows], "s--", color="black", label="of all cores")
    left.plot(n, [seconds[-1] * (k / n[-1]) ** 2 for k in n], ":", color="0.5", label="∝ n²")
    left.set_ylabel("seconds")
    inputs = [2 * 4 * row["n"] * row["d"] / 1e6 for row in rows]
    right.plot(n, [row["start"] / 1e6 for row in rows], "o-", color="black", label="above the start")
    right.plot(n, [row["inputs"] / 1e6 for row in rows], "s--", color="black", label="above the inputs")
    right.plot(n, inputs, ":", color="0.5", label="the inputs, loc and scale")
    right.set_ylabel("peak memory, MB")
    right.set_ylim(bottom=1)
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="posteriors n")
        axes.set_xticks(n, [f"{k:,}" for k in n])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.grid(which="both", color="0.9")
        axes.legend(frameon=False)
    figure.suptitle(f"Mutual information and marginal KL in one pass, {rows[0]['d']} dimensions")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measures what the command line asks for and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", nargs="+", default=["decompose_rate"], choices=INFORMATION + PROBES)
    parser.add_argument("--posteriors", type=int, nargs="+", default=[10000, 20000, 40000, 60000], metavar="N")
    parser.add_argument("--dimensions", type=int, nargs="+", default=[50], metavar="D")
    parser.add_argument("--scale", type=float, default=0.5, help="mean posterior standard deviation")
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--block", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest and the largest are printed")
    parser.add_argument("--draw", type=Path, metavar="PNG", help="a picture of the last metric's rows")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(**json.loads(arguments.child))))
        return
    if len(arguments.dimensions) == 1:
        arguments.dimensions *= len(arguments.posteriors)
    if len(arguments.posteriors) != len(arguments.dimensions):
        parser.error("--dimensions must hold one number, or as many as --posteriors")
    options = {"scale": arguments.scale, "samples": arguments.samples, "block": arguments.block}
    columns = f"{'seconds':>10}{'of CPU':>8}{'MB above start':>16}{'above inputs':>14}{'value':>10}"
    print(f"{'metric':<20}{'n':>8}{'d':>5}{columns}")
    for metric in arguments.metrics:
        rows: list[dict[str, Any]] = []
        for n, d in zip(arguments.posteriors, arguments.dimensions, strict=True):
            runs = [measure_in_a_process(metric=metric, n=n, d=d, **options) for _ in range(arguments.repeats)]
            row = {name: max(run[name] for run in runs) for name in ("start", "inputs")}
            row |= {name: min(run[name] for run in runs) for name in ("seconds", "cpu")}
            rows.append({**row, "n": n, "d": d})
            seconds = f"{row['seconds']:>10.2f}{row['cpu']:>8.2f}"
            memory = f"{row['start'] / 1e6:>16.1f}{row['inputs'] / 1e6:>14.1f}"
            print(f"{metric:<20}{n:>8}{d:>5}{seconds}{memory}{runs[0]['value']:>10.4f}", flush=True)
    if arguments.draw:
        draw(rows, arguments.draw)


if __name__ == "__main__":
    main()
