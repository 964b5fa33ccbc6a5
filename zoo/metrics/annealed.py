"""−log p(x) by annealing from the prior to the posterior: slow, but without trust in the encoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from zoo.metrics._arguments import as_count
from zoo.metrics.likelihood import as_seed


def annealed_negative_log_likelihood(
    model: Any,
    x: Any,
    steps: int = 1000,
    chains: int = 16,
    leapfrog_steps: int = 10,
    batch_size: int = 32,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """−log p(x) by annealed importance sampling with Hamiltonian Monte Carlo (Neal 2001; Wu et al. 2017).

    Each chain starts with z ~ p(z) and moves through the distributions p(z) · p(x|z)^(t/T), t = 1 … T = `steps`, with
    one Hamiltonian trajectory each. Its weight is the product of all p(x|z_t)^(1/T) along the way, and the estimate
    minus the logarithm of the chains' mean weight. Nothing of it depends on q(z|x): it checks
    `negative_log_likelihood` where the encoder is poor.

    The mean weight is an unbiased estimate of p(x), so the result is, like that of `negative_log_likelihood`, an upper
    bound of −log p(x) in expectation (a single result may lie below), and the lower of the two is the better one. It
    becomes tight with more steps, and slowly with more chains: take more steps until it stays. The lengths of the
    leapfrog steps adapt, image by image, to an acceptance of 0.65 as the chains run, which the proof does not cover;
    at some hundred steps nothing of that is seen.

    Costs steps · chains · (leapfrog_steps + 1) gradients through the decoder an image: with the defaults about a
    thousand times as much as 500 importance samples, so it is meant for tens of images. Memory grows with batch_size ·
    chains, the images decoded at once.

    Args:
        model: has `log_likelihood(x, z)`, the log p(x|z) in nats [..., batch] of codes [..., batch, latent_dim],
            `log_prior(z)`, `sample_prior(noise)`, `latent_dim`, and `check(x, where)`, as `zoo.VAE` has.
        x: images [n, h, w, c]: integers 0..255, booleans, or floats as in training.
        steps: T, the temperatures between prior and posterior.
        chains: of each image.
        leapfrog_steps: of a trajectory.
        batch_size: images at a time; another one draws other noise.
        seed: of starts and chains.
        progress: is told after each batch how many images are done.

    Returns:
        Nats, [n].

    Raises:
        ValueError: steps, chains, leapfrog_steps or batch_size below 1; a seed below 0 or above 2³¹ − 1; images that
            the model does not take (rank, size, NaN, range).
    """
    import tensorflow as tf

    counts = {"steps": steps, "chains": chains, "leapfrog_steps": leapfrog_steps, "batch_size": batch_size}
    steps, chains, leapfrog_steps, batch_size = (as_count(name, count) for name, count in counts.items())
    seed = as_seed(seed)
    x = np.asarray(x)
    model.check(x, "annealed_negative_log_likelihood")
    n = len(x)
    batch_size = math.ceil(n / math.ceil(n / batch_size))

    @tf.function(autograph=False)
    def estimate(images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        log_weights = _anneal(model, images, steps, chains, leapfrog_steps, key)
        return math.log(chains) - tf.reduce_logsumexp(tf.cast(log_weights, tf.float64), axis=0)

    found = np.empty(n)
    for start in range(0, n, batch_size):
        places = np.minimum(np.arange(start, start + batch_size), n - 1)
        done = min(batch_size, n - start)
        found[start : start + done] = estimate(tf.constant(x[places]), tf.constant([seed, start])).numpy()[:done]
        if progress:
            progress(start + done)
    return found


def _anneal(model: Any, images: Any, steps: int, chains: int, leapfrog_steps: int, key: Any) -> Any:
    """The logarithms of the chains' weights: [chains, batch]."""
    import tensorflow as tf
    from tensorflow_probability import mcmc, random

    class Trajectory(mcmc.HamiltonianMonteCarlo):
        """A trajectory that starts from the density and gradient of its own target.

        What the annealing hands over belongs to the temperature before, with which the acceptance would be wrong
        (https://github.com/tensorflow/probability/issues/1429).
        """

        def one_step(self, current_state: Any, previous_kernel_results: Any, seed: Any = None) -> Any:
            """As the base class."""
            fresh = self.bootstrap_results(current_state)
            adapted = fresh.accepted_results._replace(step_size=previous_kernel_results.accepted_results.step_size)
            return super().one_step(current_state, fresh._replace(accepted_results=adapted), seed)

    def kernel(target: Callable[[Any], Any]) -> Any:
        # A length for each image, which its chains share.
        start = tf.fill([1, tf.shape(images)[0], 1], 0.2)
        trajectory = Trajectory(target, start, leapfrog_steps, store_parameters_in_results=True)
        return mcmc.SimpleStepSizeAdaptation(trajectory, steps, target_accept_prob=0.65, adaptation_rate=0.05)

    first, rest = tf.unstack(random.split_seed(key, n=2))
    z = model.sample_prior(tf.random.stateless_normal([chains, tf.shape(images)[0], model.latent_dim], first))
    _, log_weights, _ = mcmc.sample_annealed_importance_chain(
        num_steps=steps,
        proposal_log_prob_fn=model.log_prior,
        target_log_prob_fn=lambda z: model.log_prior(z) + model.log_likelihood(images, z),
        current_state=z,
        make_kernel_fn=kernel,
        parallel_iterations=1,
        seed=rest,
    )
    return log_weights
