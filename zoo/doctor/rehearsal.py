"""The first steps of a training, taken to look at: how long its gradients are, and whether its output survives them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from zoo.doctor.advice import CLIP_NORM, Remedy, command
from zoo.doctor.diagnosis import DEAD
from zoo.experiments.schema import Experiment

if TYPE_CHECKING:
    from zoo.data import Examples

# The decoder is looked at on so many training images.
IMAGES = 500
# A gradient so many times longer than the clipping norm of the zoo's recipes makes steps that much too long.
LONG = 100.0


class Rehearsal(NamedTuple):
    """What the first steps did.

    Attributes:
        norms: of the whole gradient before it is clipped, a step each; fewer where the loss became no number.
        losses: the mean loss of the batch in nats, likewise.
        clip_norm: to which the configuration clips; None where it does not.
        before: the decoder's sensitivity to z before the first step.
        after: and after the last; 0 where the loss became no number.
    """

    norms: list[float]
    losses: list[float]
    clip_norm: float | None
    before: float
    after: float

    @property
    def verdict(self) -> str:
        """`diverged`, `collapsed` (the output does not depend on the code any more) or `healthy` so far."""
        if not all(map(math.isfinite, [*self.norms, *self.losses])):
            return "diverged"
        return "collapsed" if self.after < DEAD <= self.before else "healthy"

    @property
    def findings(self) -> list[str]:
        """What was seen, a sentence each."""
        finite = [norm for norm in self.norms if math.isfinite(norm)]
        steps = len(self.norms)
        clip = "they are not clipped" if self.clip_norm is None else f"they are clipped to {self.clip_norm:g}"
        found = []
        if finite:
            found.append(
                f"gradients of the first {steps} steps: norm {finite[0]:.4g} at first, median "
                f"{statistics.median(finite):.4g}, at most {max(finite):.4g}; {clip}"
            )
        if self.verdict == "diverged":
            found.append(f"the loss became no number at step {steps}: this training would stop there")
        elif self.verdict == "collapsed":
            found.append(f"after {steps} steps the output is dead: the same whatever the code; it does not come back")
        elif self.clip_norm is None and max(finite) > LONG * CLIP_NORM:
            found.append(f"steps are {max(finite) / CLIP_NORM:.0f} times as long as with the clipping of our recipes")
        if finite and self.verdict != "diverged":
            found.append(f"loss {self.losses[0]:.4g} → {self.losses[-1]:.4g} nats; decoder's sensitivity to z "
                         f"{self.before:.3g} → {self.after:.3g}")  # fmt: skip
        return found


def rehearse(
    experiment: Experiment, examples: Examples, steps: int, progress: Callable[[float], None] | None = None
) -> Rehearsal:
    """Takes the first steps of a training, on the batches and with the noise that `zoo train` would take.

    Nothing is written. A player that would rest in some steps moves in all of them here.

    Args:
        experiment: the configuration.
        examples: its training split.
        steps: how many; an epoch at most.
        progress: is told after each step the share that was taken.

    Raises:
        ValueError: data that do not fit the model.
    """
    import tensorflow as tf

    from zoo.data import pipeline
    from zoo.experiments.building import build_model, feature_domain
    from zoo.metrics.sensitivity import decoder_sensitivity
    from zoo.training.players import MAIN

    recipe = experiment.train
    epoch = pipeline.steps_per_epoch(len(examples.images), recipe.batch_size)
    shape, domain = examples.images.shape[1:], feature_domain(experiment, examples)
    model = build_model(experiment, shape, epoch, len(examples.images), domain)
    model.check(examples.images, "data.train")
    model.check_batch(recipe.batch_size)

    @tf.function(autograph=False)
    def step(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for player in model.players():
            for update in range(player.updates):
                gradients = model.compute_gradients(batch, player.name, update)
                model.apply_gradients(gradients)
                if player.name == MAIN:
                    scale = getattr(model.optimizer, "dynamic_scale", 1.0)
                    norm = tf.linalg.global_norm([g for g in gradients.values if g is not None])
                    seen = norm / tf.cast(scale, norm.dtype), tf.reduce_mean(gradients.terms["loss"])
        return seen

    looked_at = examples.images[:IMAGES]
    before = decoder_sensitivity(model, looked_at)
    batches = pipeline.training_pipeline(
        examples, batch_size=recipe.batch_size, seed=recipe.seed, epochs=1, index=model.takes_index,
        binarize="dynamic" if experiment.data.binarize == "dynamic" else None,
    )  # fmt: skip
    norms, losses = [], []
    for number, batch in enumerate(batches.take(min(steps, epoch)), start=1):
        norm, loss = step(batch)
        norms.append(float(norm))
        losses.append(float(loss))
        if progress is not None:
            progress(number / min(steps, epoch))
        if not (math.isfinite(norms[-1]) and math.isfinite(losses[-1])):
            return Rehearsal(norms, losses, recipe.clip_norm, before, 0.0)
    return Rehearsal(norms, losses, recipe.clip_norm, before, decoder_sensitivity(model, looked_at))


def cures(rehearsal: Rehearsal, source: str, changes: list[str]) -> list[Remedy]:
    """What helps against steps that are too long: clipping, as every recipe of the zoo has it."""
    long = any(not norm <= LONG * CLIP_NORM for norm in rehearsal.norms)
    if rehearsal.clip_norm is not None or (rehearsal.verdict == "healthy" and not long):
        return []
    settings = [*(each for each in changes if not each.startswith("train.clip_norm=")), f"train.clip_norm={CLIP_NORM}"]
    return [Remedy("clip the gradients, as all recipes of the zoo do", settings, command(source, settings))]
