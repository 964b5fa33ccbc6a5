"""What of an image reaches the code, and what of the code the image: by changing one and looking at the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.metrics._arguments import as_count


def consistency(model: Any, images: Any, transformation: Any, seed: int = 0, batch_size: int = 500) -> np.ndarray:
    """KL(q(z|x̃) ‖ q(z|x)) of each image x and one random transformation x̃ of it (Sinha & Dieng 2021, Eq. 4).

    The regulariser of the consistency paper as a metric: 0 where the code ignores the transformation, and also where it
    ignores the image, so it says something only beside the mutual information. Methods compare under one
    transformation and seed. In closed form given x̃, of which there is one for each image: the mean over
    images is an unbiased estimate of the mean over images and transformations. Costs two encodings an image.

    Args:
        model: a `zoo.VAE`; of a model with several latent groups it is the sum over groups.
        images: [n, h, w, c], as the model takes them.
        transformation: a layer of `zoo.augmentation`, such as `RandomAffine()`, or Keras's own, which
            draws from its own seed.
        seed: of the transformations.
        batch_size: images encoded at once; another one draws other transformations.

    Returns:
        Nats, [n].

    Raises:
        ValueError: images that the model does not take, or a transformation that can leave nothing of them.
    """
    import tensorflow as tf

    from zoo.augmentation.view import apply_views
    from zoo.randomness import Draws

    batch_size = as_count("batch_size", batch_size)
    images = np.asarray(images)
    model.check(images, "consistency")
    transformations = list(transformation) if isinstance(transformation, list | tuple) else [transformation]
    for layer in transformations:
        if hasattr(layer, "check_size"):
            layer.check_size(images.shape[1:])

    @tf.function(autograph=False)
    def divergence(x: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
        x = model.domain.prepare(tf.ensure_shape(x, [None, *images.shape[1:]]))
        transformed = apply_views(transformations, x, Draws(seed, batch, "consistency"), "transformed")
        return model.posterior(transformed).mean().divergence(model.posterior(x))

    starts = range(0, len(images), batch_size)
    parts = [divergence(tf.constant(images[i : i + batch_size]), tf.constant(i // batch_size)) for i in starts]
    return np.concatenate(parts).astype(np.float64)


def decoder_sensitivity(model: Any, images: Any, seed: int = 0, batch_size: int = 500) -> float:
    """How much the decoder's output depends on z: the variance of its mean over codes, as a share of the data's.

    Σ Var_z E[x|z] / Σ Var x, the sums over pixels, z from the aggregate posterior: one z ~ q(z|x) for each image. 0
    says that the decoder ignores z; near 1, its means vary as the images do. It may exceed 1, as nothing holds the
    means to the images: it measures use of the code, not the quality of the reconstruction.

    One draw an image; biased by a factor of about (n − 1)/n. Costs an encoding and a decoding an image; memory does
    not grow with n.

    Args:
        model: a `zoo.VAE`.
        images: [n, h, w, c], as the model takes them.
        seed: of the codes.
        batch_size: images encoded and decoded at once; it changes nothing beyond rounding.

    Returns:
        A share, at least 0.

    Raises:
        ValueError: images that the model does not take, or that are all alike.
    """
    import tensorflow as tf
    from sklearn.preprocessing import StandardScaler

    batch_size = as_count("batch_size", batch_size)
    images = np.asarray(images)
    loc, scale = model.posteriors(images, batch_size)
    z = loc + scale * np.random.default_rng(seed).standard_normal(loc.shape, np.float32)
    decoded, data = StandardScaler(), StandardScaler()
    for start in range(0, len(images), batch_size):
        rows = slice(start, start + batch_size)
        for pixels, seen in ((model.decode(z[rows]), decoded), (model.domain.prepare(tf.constant(images[rows])), data)):
            seen.partial_fit(pixels.numpy().reshape(len(z[rows]), -1).astype(np.float64))
    if not data.var_.any():
        raise ValueError(f"images: all {len(images)} are alike, so there is no variance to compare the decoder's with")
    return float(decoded.var_.sum() / data.var_.sum())
