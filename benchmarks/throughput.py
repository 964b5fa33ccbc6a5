"""Images a second of one training step: the zoo's VAE and ContrastiveVAE through `fit`, and a plain PyTorch VAE.

The same network (Table VI of the contrastive paper, 28×28×1, 16 latents), batch, optimiser and clipping. Each
contestant lives in a process of its own and waits there while another one runs, so that they take turns on an
otherwise idle machine and none pays for starting up. A round is one turn each; ratios are taken within a round.

    pip install -r requirements-benchmarks.txt
    python benchmarks/throughput.py --rounds 7

With `--against FOLDER`, a checkout of another version, that version's models take turns too:

    git worktree add /tmp/before COMMIT
    python benchmarks/throughput.py --against /tmp/before
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

BATCH = 256
CONTESTANTS = ("torch", "vae", "contrastive")


def images():
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (60 * BATCH, 28, 28, 1)).astype("uint8")


def zoo_contestant(method):
    """A function that trains so many steps through `fit`."""
    from zoo.data import Examples, pipeline
    from zoo.experiments import configurations
    from zoo.experiments.building import build_model

    examples = Examples(images(), None)
    model = build_model(configurations.load(f"mnist/{method}"), (28, 28, 1), 60)

    def train(steps):
        dataset = pipeline.training_pipeline(examples, batch_size=BATCH, seed=0, epochs=1).take(steps)
        model.fit(dataset, epochs=1, steps_per_epoch=steps, verbose=0, shuffle=False)

    return train


def torch_contestant():
    """The same in plain PyTorch, eager, as its users write it."""
    import torch
    from torch import nn

    def down(i, o, padding):
        return nn.Conv2d(i, o, 3, 2, padding), nn.BatchNorm2d(o), nn.ReLU()

    def up(i, o, padding, extra):
        return nn.ConvTranspose2d(i, o, 3, 2, padding, extra), nn.BatchNorm2d(o), nn.ReLU()

    encoder = nn.Sequential(*down(1, 32, 0), *down(32, 64, 1), *down(64, 128, 1), nn.Flatten())
    loc_head, scale_head = nn.Linear(2048, 16), nn.Linear(2048, 16)
    decoder = nn.Sequential(
        nn.Linear(16, 4096),
        nn.Unflatten(1, (256, 4, 4)),
        *up(256, 128, 1, 0),
        *up(128, 64, 1, 0),
        *up(64, 32, 0, 1),
        nn.ConvTranspose2d(32, 1, 3, 1, 1),
        nn.Sigmoid(),
    )
    model = nn.ModuleList([encoder, loc_head, scale_head, decoder])
    optimiser = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9, weight_decay=1e-8)
    data = torch.from_numpy(images()).permute(0, 3, 1, 2).contiguous()

    def train(steps):
        order, totals = torch.randperm(len(data)), torch.zeros(2)
        for step in range(steps):
            x = data[order[step * BATCH : (step + 1) * BATCH]].float() / 255
            features = encoder(x)
            loc, scale = loc_head(features), nn.functional.softplus(scale_head(features))
            mean = decoder(loc + scale * torch.randn_like(loc))
            distortion = (mean - x).square().sum((1, 2, 3)).mean()
            rate = (0.5 * (loc.square() + scale.square() - 1) - scale.log()).sum(1).mean()
            optimiser.zero_grad()
            (distortion + rate).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
            totals += torch.stack([distortion, rate]).detach()

    return train


def wait_for_turns(name, steps):
    """Trains a turn for every line on standard input, and answers with its seconds."""
    train = torch_contestant() if name == "torch" else zoo_contestant(name)
    train(10)
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        train(steps)
        print(time.perf_counter() - began, flush=True)


def worker(script, name, steps):
    """A contestant's process, with the package that stands beside its script."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(script.parent.parent)}
    command = [sys.executable, str(script), "--steps", str(steps), "--contestant", name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=40, help="training steps a turn (at most 60)")
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--against", type=pathlib.Path, metavar="FOLDER", help="a checkout of another version")
    arguments = parser.parse_args()
    if arguments.contestant:
        wait_for_turns(arguments.contestant, arguments.steps)
        return
    script = pathlib.Path(__file__).resolve()
    workers = {name: worker(script, name, arguments.steps) for name in CONTESTANTS}
    if arguments.against:
        other = arguments.against.resolve() / "benchmarks" / script.name
        workers |= {f"{name}, other": worker(other, name, arguments.steps) for name in CONTESTANTS[1:]}
    for process in workers.values():
        if process.stdout.readline() != "ready\n":
            parser.error(f"a contestant did not start: {' '.join(process.args)}")
    speeds = {name: [] for name in workers}
    for turn in range(arguments.rounds):
        # Every other round runs backwards, so that a drift of the machine favours nobody.
        for name in workers if turn % 2 == 0 else reversed(workers):
            workers[name].stdin.write("go\n")
            workers[name].stdin.flush()
            speeds[name].append(BATCH * arguments.steps / float(workers[name].stdout.readline()))
    for process in workers.values():
        process.stdin.close()
    for name, found in speeds.items():
        print(f"{name:18} {statistics.median(found):7.0f} images/s   (rounds: {' '.join(f'{v:.0f}' for v in found)})")
    comparisons = [
        ("speed of the zoo's VAE / PyTorch", "vae", "torch"),
        ("step time of ContrastiveVAE / VAE", "vae", "contrastive"),
    ]
    if arguments.against:
        comparisons += [(f"speed of {name} / other version", name, f"{name}, other") for name in CONTESTANTS[1:]]
    for text, above, below in comparisons:
        ratios = [a / b for a, b in zip(speeds[above], speeds[below], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        deviation = statistics.stdev(ratios)
        print(f"{text}: median {statistics.median(ratios):.3f}, {spread}, standard deviation {deviation:.2f}")


if __name__ == "__main__":
    main()
