"""Times the metrics of `zoo.metrics` on random posteriors and prints their peak memory above the start.

Each row runs in a process of its own. `--posteriors` and `--dimensions` are paired: the n-th with the n-th.

    python benchmarks/information.py
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

INFORMATION = ["mutual_information", "marginal_kl", "decompose_rate"]
PROBES = ["knn_accuracy", "linear_accuracy"]
ROOT = Path(__file__).resolve().parents[1]


def peak_bytes() -> int:
    """The largest resident memory of this process so far."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure(metric: str, n: int, d: int, scale: float, **options: int) -> dict[str, float]:
    """One call of one metric in this process: its seconds, its bytes above the start, its value."""
    import numpy as np

    import zoo.metrics

    function: Callable[..., Any] = getattr(zoo.metrics, metric)
    arguments: list[Any]
    generator = np.random.default_rng(0)
    labels = generator.integers(10, size=n + n // 6)
    centres = generator.standard_normal((10, d))
    codes = (centres[labels] + generator.standard_normal((len(labels), d))).astype("float32")
    if metric in PROBES:
        import sklearn.linear_model
        import sklearn.neighbors  # noqa: F401 (its import is not what is measured)

        arguments = [codes[:n], labels[:n], codes[n:], labels[n:]]
        options = {"neighbours": min(200, n)} if metric == "knn_accuracy" else {}
    else:
        arguments = [codes[:n], generator.uniform(0.5 * scale, 1.5 * scale, (n, d)).astype("float32")]
    # The linear algebra library takes its threads' buffers at its first product.
    np.ones((512, 512)) @ np.ones((512, 512))
    before, start = peak_bytes(), time.perf_counter()
    value = function(*arguments, **options)
    seconds = time.perf_counter() - start
    value = value.mutual_information if metric == "decompose_rate" else value
    return {"seconds": seconds, "bytes": peak_bytes() - before, "value": value}


def measure_in_a_process(**arguments: object) -> dict[str, float]:
    """`measure` in a fresh process, so that no earlier row's memory hides this one's."""
    command = [sys.executable, __file__, "--child", json.dumps(arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(process.stdout)


def main() -> None:
    """Measures what the command line asks for and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", nargs="+", default=INFORMATION, choices=INFORMATION + PROBES)
    parser.add_argument("--posteriors", type=int, nargs="+", default=[10000, 60000], metavar="N")
    parser.add_argument("--dimensions", type=int, nargs="+", default=[16, 50], metavar="D")
    parser.add_argument("--scale", type=float, default=0.5, help="mean posterior standard deviation")
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--block", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3, help="the fastest and the largest are printed")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(**json.loads(arguments.child))))
        return
    if len(arguments.posteriors) != len(arguments.dimensions):
        parser.error("--posteriors and --dimensions must hold as many numbers")
    print(f"{'metric':<20}{'n':>8}{'d':>5}{'seconds':>10}{'MB above start':>16}{'value':>10}")
    for n, d in zip(arguments.posteriors, arguments.dimensions, strict=True):
        for metric in arguments.metrics:
            runs = [
                measure_in_a_process(
                    metric=metric,
                    n=n,
                    d=d,
                    scale=arguments.scale,
                    block=arguments.block,
                    samples=arguments.samples,
                )
                for _ in range(arguments.repeats)
            ]
            seconds, memory = min(run["seconds"] for run in runs), max(run["bytes"] for run in runs)
            print(f"{metric:<20}{n:>8}{d:>5}{seconds:>10.2f}{memory / 1e6:>16.0f}{runs[0]['value']:>10.4f}")


if __name__ == "__main__":
    main()
