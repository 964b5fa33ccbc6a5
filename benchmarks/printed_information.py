"""What papers print as mutual information against the true one, on a Gaussian channel, and on how many draws it rests.

    python benchmarks/printed_information.py --draw docs/printed_information.png

The channel: x is standard normal in d dimensions, z = a·x + noise of standard deviation √(1 − a²), so that q(z) is the
prior and I(x; z) = −d/2 · ln(1 − a²), which is the rate in expectation. From collapsed (a = 0) to informative.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from zoo import metrics

WITHIN = 50
SPREAD = 0.1


def channel(n: int, d: int, information: float, spread: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Posteriors [n, d] of that information in nats; scales off by a factor exp(N(0, spread²)) of each example."""
    variance = math.exp(-2 * information / d)
    # Not the seed of the metrics: codes and their draws would be the same numbers.
    rng = np.random.default_rng(1)
    loc = math.sqrt(1 - variance) * rng.standard_normal((n, d))
    return loc, math.sqrt(variance) * np.exp(spread * rng.standard_normal((n, 1))) * np.ones((1, d))


def measure(n: int, d: int, information: float) -> dict[str, float]:
    """Every estimate at one place of the channel, in nats."""
    loc, scale = channel(n, d, information)
    compared = metrics.self_comparison(loc, scale)
    rate = float(metrics.rate(loc, scale).mean())
    return {
        "true": information,
        "all examples": metrics.mutual_information(loc, scale),
        f"within {WITHIN}": metrics.mutual_information_in_batches(loc, scale, WITHIN),
        "self-comparison": compared,
        "one draw": metrics.self_comparison(loc, scale, samples=1),
        "scales vary": metrics.self_comparison(*channel(n, d, information, SPREAD)),
        "rate": rate,
        "rate less it": rate - compared,
        "marginal KL": metrics.marginal_kl(loc, scale),
    }


def draw(path: Path, rows: list[dict[str, float]], n: int, d: int) -> None:
    """The estimates as lines over the true information."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    true = [row["true"] for row in rows]
    axes.plot(true, true, color="0.75", linewidth=5, solid_capstyle="butt", label="the true mutual information")
    styles = {
        "all examples": ("#0072b2", "-", f"among all {n:,} examples (the zoo's)"),
        f"within {WITHIN}": ("#d55e00", "-", f"within batches of {WITHIN} (He et al., critics)"),
        "self-comparison": ("#009e73", "-", "self-comparison (contrastive paper), constant scale"),
        "scales vary": ("#009e73", "--", f"the same, log scale of each image off by N(0, {SPREAD}²)"),
    }
    for name, (colour, line, label) in styles.items():
        axes.plot(true, [row[name] for row in rows], line, color=colour, linewidth=2, label=label)
    bounds = {f"log {n:,} = {math.log(n):.2f}": math.log(n), f"log {WITHIN} = {math.log(WITHIN):.2f}": math.log(WITHIN)}
    for text, bound in bounds.items():
        axes.axhline(bound, color="0.4", linewidth=0.8, linestyle=":")
        axes.annotate(text, (true[-1], bound), xytext=(0, 3), textcoords="offset points", ha="right", va="bottom")
    axes.set(
        xlabel="true mutual information (nats)",
        ylabel="estimate (nats)",
        xlim=(0, true[-1]),
        ylim=(0, 10),
        title=f"What is printed as mutual information: Gaussian channel, {d} units",
    )
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Prints the table, and draws it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--posteriors", type=int, default=5000)
    parser.add_argument("--dimensions", type=int, default=16)
    parser.add_argument("--information", type=float, nargs="+", default=[0, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16])
    parser.add_argument("--draw", type=Path)
    arguments = parser.parse_args()
    n, d = arguments.posteriors, arguments.dimensions
    rows = [measure(n, d, information) for information in arguments.information]
    print(f"{n:,} posteriors of {d} units; d/2 · (1 − ln 2) = {d / 2 * (1 - math.log(2)):.3f}")
    print(f"| {' | '.join(rows[0])} |\n|{'---:|' * len(rows[0])}")
    for row in rows:
        print(f"| {' | '.join(f'{value:.2f}' for value in row.values())} |")
    if arguments.draw:
        draw(arguments.draw, rows, n, d)


if __name__ == "__main__":
    main()
