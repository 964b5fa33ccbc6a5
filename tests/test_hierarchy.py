"""Two groups of latents, the second given the first, against a posterior and a likelihood in closed form.

z₁ ~ N(0, I), z₂|z₁ ~ N(A z₁, s²I), x|z₂ ~ N(W z₂ + b, σ²I), with WᵀW a multiple of I and A orthogonal: then
q(z₁|x) and q(z₂|z₁, x) are diagonal Gaussians, and nothing need be trained.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal, norm
from tensorflow_probability import distributions as tfd

import zoo
from zoo.latents.posterior import Posterior
from zoo.latents.prior import Prior

WIDTH, SIGMA = 5, 0.5
register = keras.saving.register_keras_serializable("tests")


# ── What a user writes ───────────────────────────────────────────────────────────────────────────────────────────────


@register
class ChainPrior(Prior):
    """N(0, I), and below it N(A z₁, s²I)."""

    def __init__(self, matrix, scale, **kwargs):
        super().__init__(**kwargs)
        self.matrix, self.scale = np.asarray(matrix, "float32"), scale

    def conditional(self, group, above, size):
        if group == 0:
            return tfd.Normal(tf.zeros([size]), tf.ones([size]))
        return tfd.Normal(tf.matmul(above, self.matrix, transpose_b=True), self.scale)

    def get_config(self):
        return {**super().get_config(), "matrix": self.matrix.tolist(), "scale": self.scale}


@register
class ChainVAE(zoo.VAE):
    """Q(z₁|x) and q(z₂|z₁, x), both linear with a constant scale."""

    def __init__(self, encoder, decoder, latent_dim, **kwargs):
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        self.group_sizes = (latent_dim // 2, latent_dim // 2)
        self.first = keras.layers.Dense(latent_dim // 2, name="first")
        self.second = keras.layers.Dense(latent_dim // 2, name="second")
        self.scales = self.add_weight(shape=(2,), initializer="ones", name="scales")

    def posterior_of(self, features):
        def first(above):
            return tfd.Normal(self.first(features), self.scales[0])

        def second(above):
            told = tf.broadcast_to(features, tf.concat([tf.shape(above)[:-1], tf.shape(features)[-1:]], 0))
            told = tf.ensure_shape(told, [*above.shape[:-1], features.shape[-1]])
            return tfd.Normal(self.second(tf.concat([above, told], -1)), self.scales[1])

        return Posterior([first, second], self.group_sizes, self.prior)


@register
class ConsistentChainVAE(zoo.ConsistencyVAE, ChainVAE):
    """The consistency method on the chain."""


@register
class ImportanceChainVAE(zoo.IWAE, ChainVAE):
    """The importance-weighted bound on the chain."""


@register
class Shift(keras.layers.Layer):
    """Adds one number."""

    def call(self, x):
        return x + 0.7


# ── The linear-Gaussian model ────────────────────────────────────────────────────────────────────────────────────────


class Exact:
    """All that is known of it."""

    def __init__(self, scale, width=WIDTH):
        generator = np.random.default_rng(7)
        angle = 0.6
        self.scale = scale
        self.a = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self.w = 1.3 * np.linalg.qr(generator.standard_normal((width, 2)))[0]
        self.b = generator.standard_normal(width)
        # x given z₁ alone, and x alone.
        middle = scale**2 * self.w @ self.w.T + SIGMA**2 * np.eye(width)
        self.marginal = multivariate_normal(self.b, self.w @ self.a @ self.a.T @ self.w.T + middle)
        through = self.w @ self.a
        self.first_covariance = np.linalg.inv(np.eye(2) + through.T @ np.linalg.inv(middle) @ through)
        self.first_matrix = self.first_covariance @ through.T @ np.linalg.inv(middle)
        self.second_covariance = np.linalg.inv(np.eye(2) / scale**2 + self.w.T @ self.w / SIGMA**2)
        self.from_above = self.second_covariance @ self.a / scale**2
        self.from_x = self.second_covariance @ self.w.T / SIGMA**2
        self.prior_covariance = np.block([[np.eye(2), self.a.T], [self.a, self.a @ self.a.T + scale**2 * np.eye(2)]])

    def posterior(self, x, shift=0.0):
        """Means [n, 4] and covariance [4, 4] of q(z₁, z₂|x), its first group moved by `shift`."""
        first = (x - self.b) @ self.first_matrix.T + shift
        second = first @ self.from_above.T + (x - self.b) @ self.from_x.T
        across = self.first_covariance @ self.from_above.T
        below = self.second_covariance + self.from_above @ across
        return np.concatenate([first, second], 1), np.block([[self.first_covariance, across], [across.T, below]])

    def data(self, n):
        return self.marginal.rvs(n, random_state=11).astype("float32")

    def model(self, method=ChainVAE, shift=0.0, **arguments):
        """The model with these weights; its posterior is the exact one, moved by `shift`."""
        width = len(self.b)
        encoder = keras.Sequential([keras.Input((width,)), keras.layers.Identity()])
        decoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(width)])
        model = method(
            encoder,
            decoder,
            4,
            prior=ChainPrior(self.a, self.scale),
            likelihood={"name": "gaussian", "variance": SIGMA**2},
            seed=0,
            **arguments,
        )
        model.compile(keras.optimizers.SGD(1e-4))
        model.decoder.set_weights([np.concatenate([np.zeros((2, width)), self.w.T]), self.b])
        model.first.set_weights([self.first_matrix.T, shift - self.first_matrix @ self.b])
        kernel = np.concatenate([self.from_above.T, self.from_x.T])
        model.second.set_weights([kernel, -self.from_x @ self.b])
        model.scales.assign([self.first_covariance[0, 0] ** 0.5, self.second_covariance[0, 0] ** 0.5])
        return model


def divergence(mean, covariance, other_mean, other_covariance):
    """KL between Gaussians in nats, for each row of the means."""
    inverse, gap = np.linalg.inv(other_covariance), other_mean - mean
    constant = np.trace(inverse @ covariance) - len(covariance)
    constant += np.linalg.slogdet(other_covariance)[1] - np.linalg.slogdet(covariance)[1]
    return 0.5 * (constant + np.einsum("ni,ij,nj->n", gap, inverse, gap))


@pytest.fixture(scope="module", params=[0.1, 0.5])
def exact(request):
    return Exact(request.param)


def test_the_groundwork_is_a_chain_of_diagonal_groups(exact):
    for covariance in (exact.first_covariance, exact.second_covariance):
        np.testing.assert_allclose(covariance, covariance[0, 0] * np.eye(2), atol=1e-12)
    if exact.scale == 0.1:
        correlation = exact.prior_covariance[2:, :2] @ exact.a.T[:, 0] / np.sqrt(1.01)
        assert correlation[0] == pytest.approx(0.995, abs=1e-3)


# ── The bound and the likelihood ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_rate_and_bound(exact, shift):
    """Of the exact posterior the bound is log p(x); of another one it is lower by KL(q ‖ p(z|x))."""
    model, x = exact.model(shift=shift), exact.data(20)
    mean, covariance = exact.posterior(x, shift)
    rate = divergence(mean, covariance, np.zeros_like(mean), exact.prior_covariance)
    gap = divergence(mean, covariance, *exact.posterior(x))
    many = np.repeat(x, 1500, 0)
    terms = {k: np.reshape(v, (20, 1500)).mean(1) for k, v in model.objective(many, training=False).items()}
    assert terms["rate"].mean() == pytest.approx(rate.mean(), abs=0.02)
    np.testing.assert_allclose(terms["rate"], rate, atol=0.25)
    assert terms["elbo"].mean() == pytest.approx((exact.marginal.logpdf(x) - gap).mean(), abs=0.02)
    held_out = model.evaluate(many, batch_size=10_000, verbose=0, return_dict=True)
    assert held_out["elbo"] == pytest.approx((exact.marginal.logpdf(x) - gap).mean(), abs=0.02)
    assert held_out["rate"] == pytest.approx(rate.mean(), abs=0.02)


def test_along_a_path_of_the_exact_posterior_the_bound_has_no_spread(exact):
    """Log p(x, z) − log q(z|x) is log p(x) for every z: q and p are evaluated along the sample's own path."""
    model, x = exact.model(ImportanceChainVAE, samples=4), exact.data(50)
    found = exact.marginal.logpdf(x)
    np.testing.assert_allclose(model.log_weights(x, 7), np.tile(found, (7, 1)), atol=2e-3)
    np.testing.assert_allclose(-model.objective(x, training=False)["negative_bound"], found, atol=2e-3)
    np.testing.assert_allclose(zoo.metrics.negative_log_likelihood(model, x, samples=10), -found, atol=2e-3)
    batch = model.batch(x, training=True)
    path = model.infer(batch).path
    log_prior = multivariate_normal(np.zeros(4), exact.prior_covariance).logpdf(path.z)
    np.testing.assert_allclose(path.log_prior(), log_prior, atol=2e-3)
    np.testing.assert_allclose(model.log_prior(path.z), log_prior, atol=2e-3)
    mean, covariance = exact.posterior(x)
    log_posterior = multivariate_normal(np.zeros(4), covariance).logpdf(path.z - mean)
    np.testing.assert_allclose(path.log_posterior(), log_posterior, atol=2e-3)
    np.testing.assert_allclose(path.log_ratio(), log_posterior - log_prior, atol=2e-3)


def test_importance_weights_correct_a_wrong_posterior(exact):
    model, x = exact.model(ImportanceChainVAE, shift=0.2, samples=50), exact.data(200)
    found = -exact.marginal.logpdf(x).mean()
    assert zoo.metrics.negative_log_likelihood(model, x, samples=500).mean() == pytest.approx(found, abs=0.02)
    terms = {name: float(np.mean(value)) for name, value in model.objective(x, training=False).items()}
    assert terms["negative_bound"] == pytest.approx(found, abs=0.05)
    assert -terms["elbo"] > found + 0.1


@pytest.mark.slow
def test_annealing_needs_no_posterior():
    exact = Exact(0.5)
    model, x = exact.model(shift=2.0), exact.data(24)
    found = zoo.metrics.annealed_negative_log_likelihood(model, x, steps=1000, chains=16, leapfrog_steps=4)
    assert found.mean() == pytest.approx(-exact.marginal.logpdf(x).mean(), abs=0.02)


def test_groups_and_units_before_any_sum(exact):
    model, x = exact.model(), exact.data(30)
    path = model.posterior(tf.constant(x)).sample(tf.zeros([30, 4]))
    first, second = path.rate_per_group()
    assert first.shape == second.shape == (30, 2)
    np.testing.assert_allclose(tf.reduce_sum(first, 1) + tf.reduce_sum(second, 1), path.rate(), rtol=1e-5)
    mean, _ = exact.posterior(x)
    scale = exact.first_covariance[0, 0] ** 0.5
    expected = 0.5 * (mean[:, :2] ** 2 + scale**2 - 1) - np.log(scale)
    np.testing.assert_allclose(first, expected, rtol=1e-4, atol=1e-5)


# ── Children and their own parents ───────────────────────────────────────────────────────────────────────────────────


def correlation(parents, children, matrix):
    """Of each unit of z₂ with that of A z₁."""
    pairs = zip((parents @ matrix.T).T, children.T, strict=True)
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in pairs])


def test_children_are_drawn_given_their_own_parents():
    exact = Exact(0.1)
    model = exact.model()
    z = np.asarray(model.sample_prior(np.random.default_rng(0).standard_normal((20_000, 4)).astype("float32")))
    np.testing.assert_allclose(correlation(z[:, :2], z[:, 2:], exact.a), 0.995, atol=1e-3)
    np.testing.assert_allclose(np.cov(z.T), exact.prior_covariance, atol=0.04)
    # Many samples of one posterior, as importance sampling draws them: [samples, batch, dim].
    noise = np.random.default_rng(1).standard_normal((20_000, 2, 4)).astype("float32")
    x = exact.data(2)
    drawn = np.asarray(model.posterior(tf.constant(x)).sample(tf.constant(noise)).z)
    mean, covariance = exact.posterior(x)
    for i in range(2):
        np.testing.assert_allclose(drawn[:, i].mean(0), mean[i], atol=0.02)
        np.testing.assert_allclose(np.cov(drawn[:, i].T), covariance, atol=0.01)
    expected = covariance[2:, :2] @ exact.a.T
    spread = np.sqrt(np.diag(exact.a @ covariance[:2, :2] @ exact.a.T) * np.diag(covariance[2:, 2:]))
    np.testing.assert_allclose(
        correlation(drawn[:, 0, :2], drawn[:, 0, 2:], exact.a), np.diag(expected.T) / spread, atol=0.02
    )


# ── Consistency ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_consistency_is_the_divergence_of_the_chains(exact):
    model = exact.model(ConsistentChainVAE, transformations=[Shift()])
    x = exact.data(10)
    mean, covariance = exact.posterior(x)
    other, _ = exact.posterior(x + 0.7)
    expected = divergence(other, covariance, mean, covariance)
    found = np.reshape(model.objective(np.repeat(x, 500, 0), training=True)["consistency"], (10, 500)).mean(1)
    np.testing.assert_allclose(found, expected, atol=0.02)


@register
class CurvedChainVAE(ChainVAE):
    """Z₂ depends on z₁ by a curve, so that no formula has the divergence."""

    def posterior_of(self, features):
        x = features[..., :1]

        def second(above):
            return tfd.Normal(tf.sin(2.0 * above) + 0.5 * x, 0.3 + 0.2 * tf.tanh(above + x))

        return Posterior([lambda above: tfd.Normal(x, 0.6 + 0.1 * tf.tanh(x)), second], (1, 1), self.prior)


@register
class ConsistentCurvedVAE(zoo.ConsistencyVAE, CurvedChainVAE):
    """With the consistency method."""


def test_divergence_of_curved_chains_against_an_integral():
    encoder = keras.Sequential([keras.Input((3,)), keras.layers.Identity()])
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model = ConsistentCurvedVAE(
        encoder, decoder, 2, prior=ChainPrior(np.eye(1), 0.5), likelihood="gaussian", transformations=[Shift()], seed=0
    )
    model.compile()
    z1, z2 = np.meshgrid(np.linspace(-5, 5, 801), np.linspace(-4, 4, 801), indexing="ij")
    area = (z1[1, 0] - z1[0, 0]) * (z2[0, 1] - z2[0, 0])

    def log_q(x):
        first = norm(x, 0.6 + 0.1 * np.tanh(x)).logpdf(z1)
        return first + norm(np.sin(2 * z1) + 0.5 * x, 0.3 + 0.2 * np.tanh(z1 + x)).logpdf(z2)

    for x in (-0.4, 0.1):
        theirs, mine = log_q(x), log_q(x + 0.7)
        assert np.exp(mine).sum() * area == pytest.approx(1, abs=1e-3)
        expected = (np.exp(mine) * (mine - theirs)).sum() * area
        terms = model.objective(np.full((20_000, 3), x, "float32"), training=True)
        assert np.mean(terms["consistency"]) == pytest.approx(expected, abs=0.02 * max(1, expected))
        prior = norm.logpdf(z1) + norm(z1, 0.5).logpdf(z2)
        rate = (np.exp(theirs) * (theirs - prior)).sum() * area
        assert np.mean(terms["rate"]) == pytest.approx(rate, abs=0.02 * max(1, rate))


# ── Calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_encode_decode_sample_and_file(exact, tmp_path):
    model, x = exact.model(), exact.data(40)
    mean, _ = exact.posterior(x)
    loc, scale = model.encode(x)
    np.testing.assert_allclose(loc, mean, atol=1e-4)
    expected = np.sqrt([*np.diag(exact.first_covariance), *np.diag(exact.second_covariance)])
    np.testing.assert_allclose(scale, np.tile(expected, (40, 1)), rtol=1e-4)
    for found, wanted in zip(model.posteriors(x), (loc, scale), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(model.reconstruct(x), mean[:, 2:] @ exact.w.T + exact.b, atol=1e-4)
    np.testing.assert_allclose(model.decode(mean.astype("float32")), model.reconstruct(x), atol=1e-4)
    drawn = np.asarray(model.sample(20_000, seed=0, mean=False))
    np.testing.assert_allclose(np.cov(drawn.T), exact.marginal.cov, atol=0.06)
    model.fit(x, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.group_sizes == (2, 2) and isinstance(again.prior, ChainPrior)
    np.testing.assert_array_equal(again.encode(x).loc, model.encode(x).loc)
    np.testing.assert_array_equal(again.sample(3, seed=1), model.sample(3, seed=1))
    history = again.fit(x, verbose=0, epochs=2).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.slow
def test_a_chain_is_trained(tmp_path):
    """From random weights, all of which move."""
    exact = Exact(0.5)
    keras.utils.set_random_seed(0)
    model = exact.model()
    for layer in (model.first, model.second, model.decoder.layers[-1]):
        layer.set_weights([0.1 * np.random.default_rng(0).standard_normal(w.shape) for w in layer.get_weights()])
    before = [w.numpy() for w in model.trainable_weights]
    model.compile(keras.optimizers.Adam(0.02))
    x = exact.data(512)
    history = model.fit(x, epochs=15, batch_size=64, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] - 1
    assert all(np.abs(w.numpy() - old).max() > 1e-3 for w, old in zip(model.trainable_weights, before, strict=True))
    assert -history["elbo"][-1] > -exact.marginal.logpdf(x).mean() - 0.05


def test_mistakes_are_one_line():
    exact = Exact(0.5)
    with pytest.raises(ValueError, match="2 groups"):
        exact.model(zoo.combine("critic", ChainVAE)).objective(exact.data(3), training=True)
    with pytest.raises(ValueError, match="conditionals"):
        Posterior([lambda above: None], (1, 1), exact.model().prior)
