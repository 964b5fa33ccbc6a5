"""Images a second that an export encodes, against the same network with the same weights in PyTorch.

    pip install -r requirements-benchmarks.txt -r requirements-dev.txt
    python benchmarks/export_speed.py

Each contestant is a process of its own: the export, loaded by TensorFlow alone; what `zoo export --format` makes of it
for LiteRT and for ONNX; PyTorch with `torch.compile`; PyTorch as TorchScript, frozen for inference. All take uint8
images as NumPy arrays and give NumPy arrays of means and standard deviations, which are compared first. They take
turns, so what else the machine does falls on all of them; the figures are the medians over the rounds of the ratios of
their times within a round.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

# Before TensorFlow is imported: what a CPU without AVX-512 wants.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import numpy as np

EXPORT = Path(__file__).parents[1] / "exports" / "digits" / "vae"
OURS, THEIRS = ("SavedModel", "LiteRT", "ONNX"), ("torch.compile", "TorchScript")
CONTESTANTS = (*OURS, *THEIRS)
BATCHES = {1: 300, 256: 10}  # by batch size, calls in a turn


def images(batch):
    """Random uint8 images, the same for all."""
    return np.random.default_rng(batch).integers(0, 256, (batch, 28, 28, 1), np.uint8)


def other_form(name):
    """Likewise, of what was converted; both take floats."""
    folder = Path(os.environ["ZOO_WEIGHTS"]).parent / name
    if name == "LiteRT":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(folder / "model.tflite"), num_threads=os.cpu_count())
        run = interpreter.get_signature_runner("encode")

        def encode(x):
            codes = run(x=x.astype(np.float32) / np.float32(255))
            return codes["loc"], codes["scale"]
    else:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(folder / "encode.onnx"))

        def encode(x):
            return session.run(["loc", "scale"], {"x": x.astype(np.float32) / np.float32(255)})

    return encode


def export():
    """uint8 images → means and standard deviations, as the card of the export says."""
    import tensorflow as tf

    model = tf.saved_model.load(str(EXPORT))

    def encode(x):
        codes = model.encode(x)
        return codes["loc"].numpy(), codes["scale"].numpy()

    return encode


def pytorch(kind):
    """The same in PyTorch, with the weights of the export's Keras model."""
    import torch
    from torch import nn

    def block(inputs, outputs, padding):
        return nn.Conv2d(inputs, outputs, 3, 2, padding), nn.BatchNorm2d(outputs), nn.ReLU()

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(*block(1, 32, 0), *block(32, 64, 1), *block(64, 128, 1), nn.Flatten())
            self.loc, self.scale = nn.Linear(2048, 16), nn.Linear(2048, 16)

        def forward(self, x):
            features = self.body(x.permute(0, 3, 1, 2).float() / 255)
            return self.loc(features), nn.functional.softplus(self.scale(features))

    network = Encoder().eval()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in weights().items()}, strict=False)
    if kind == "torch.compile":
        compiled = torch.compile(network)
    else:
        compiled = torch.jit.freeze(torch.jit.trace(network, torch.from_numpy(images(2))))

    def encode(x):
        with torch.inference_mode():
            loc, scale = compiled(torch.from_numpy(x))
        return loc.numpy(), scale.numpy()

    return encode


def weights():
    """Of the encoder, by PyTorch's names and in its layouts."""
    with np.load(os.environ["ZOO_WEIGHTS"]) as stored:
        return dict(stored)


def write_weights(path):
    """Reads the export's Keras model, and writes the weights of its encoder as PyTorch has them."""
    import keras

    import zoo

    model, found = zoo.load("digits/vae"), {}
    layers = [one for one in model.encoder.layers if one.weights]
    for i, layer in enumerate(layers):
        name = f"body.{i // 2 * 3 + i % 2}"
        if isinstance(layer, keras.layers.Conv2D):
            kernel, bias = layer.get_weights()
            found |= {f"{name}.weight": kernel.transpose(3, 2, 0, 1), f"{name}.bias": bias}
        else:
            parts = ("weight", "bias", "running_mean", "running_var")
            found |= {f"{name}.{part}": value for part, value in zip(parts, layer.get_weights(), strict=True)}
    for name, layer in (("loc", model.head.loc), ("scale", model.head.scale)):
        kernel, bias = layer.get_weights()
        # Keras flattens height, width, channels; PyTorch channels first.
        kernel = kernel.reshape(4, 4, 128, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
        found |= {f"{name}.weight": np.ascontiguousarray(kernel.T), f"{name}.bias": bias}
    np.savez(path, **found)


def answer(name):
    """Encodes a turn for every batch size on standard input, and answers with its seconds."""
    encode = export() if name == "SavedModel" else pytorch(name) if name in THEIRS else other_form(name)
    folder = Path(os.environ["ZOO_WEIGHTS"]).parent
    np.savez(folder / f"{name}.npz", *(part for batch in BATCHES for part in encode(images(batch))))
    for batch in BATCHES:
        for _ in range(20):
            encode(images(batch))
    print("ready", flush=True)
    for line in sys.stdin:
        x, calls = images(int(line)), BATCHES[int(line)]
        began = time.perf_counter()
        for _ in range(calls):
            encode(x)
        print(time.perf_counter() - began, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        answer(options.contestant)
        return
    import tempfile

    from zoo.export import converted

    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "weights.npz"
        write_weights(stored)
        for name, form in (("LiteRT", "litert"), ("ONNX", "onnx")):
            converted.write(EXPORT, form, Path(folder) / name)
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "ZOO_WEIGHTS": str(stored)}
        workers = {}
        for name in CONTESTANTS:
            command = [sys.executable, __file__, "--contestant", name]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            workers[name] = subprocess.Popen(command, env=environment, **pipes)
        for name, worker in workers.items():
            if worker.stdout.readline().strip() != "ready":
                raise SystemExit(f"{name} did not start")
        codes = {name: [*np.load(Path(folder) / f"{name}.npz").values()] for name in CONTESTANTS}
        for name in CONTESTANTS[1:]:
            gap = max(np.abs(a - b).max() for a, b in zip(codes["SavedModel"], codes[name], strict=True))
            print(f"codes of {name} differ from the SavedModel's by at most {gap:.1e}")
            if gap > 1e-3:
                raise SystemExit("they do not compute the same")
        for batch, calls in BATCHES.items():
            taken = {name: [] for name in CONTESTANTS}
            for _ in range(options.rounds):
                for name, worker in workers.items():
                    print(batch, file=worker.stdin, flush=True)
                    taken[name].append(float(worker.stdout.readline()) / calls)
            for name, seconds in taken.items():
                print(f"batch {batch:>3} {name:>14}: {batch / np.median(seconds):>9,.0f} images a second", end="")
                ratios = (np.median(np.array(taken[rival]) / np.array(seconds)) for rival in THEIRS)
                versus = (f"{ratio:.2f} × {rival}" for ratio, rival in zip(ratios, THEIRS, strict=True))
                print(f"; {', '.join(versus)}" if name in OURS else "")
        for worker in workers.values():
            worker.stdin.close()
            worker.wait()


if __name__ == "__main__":
    main()
