"""The order of training, resuming, dynamic binarisation, evaluation, replicas and memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zoo.data import Examples, with_index

tf = pytest.importorskip("tensorflow")

from zoo.data.pipeline import evaluation_pipeline, steps_per_epoch, training_pipeline  # noqa: E402

ROOT = Path(__file__).parents[1]
COUNT, BATCH = 103, 10
# Each picture says which one it is.
IMAGES = np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (COUNT, 3, 3, 1)).copy()
EXAMPLES = Examples(IMAGES, np.arange(COUNT) + 1000)


def batches(examples=EXAMPLES, **options):
    options = {"batch_size": BATCH, "seed": 5, "epochs": 1} | options
    return list(training_pipeline(examples, **options).as_numpy_iterator())


def order(**options):
    return np.concatenate([labels for _, labels in batches(**options)]) - 1000


def test_an_epoch_is_a_permutation():
    assert steps_per_epoch(COUNT, BATCH) == 10
    found = order(epochs=3).reshape(3, 100)
    for epoch in found:
        assert len(set(epoch)) == 100
        assert set(epoch) <= set(range(COUNT))
    # What one epoch leaves out is in another.
    assert len(set(found.ravel())) == COUNT
    whole = np.concatenate([labels for _, labels in batches(batch_size=COUNT, epochs=2)]).reshape(2, COUNT) - 1000
    for epoch in whole:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(COUNT))
        assert (epoch == np.arange(COUNT)).mean() < 0.1


def test_the_order_depends_on_seed_and_epoch_alone():
    first = order(epochs=2)
    np.testing.assert_array_equal(first, order(epochs=2))
    assert (first[:100] != first[100:]).any()
    assert (first != order(epochs=2, seed=6)).any()
    assert (first[100:] != order(seed=6)).any()
    np.testing.assert_array_equal(first[:100], order(epochs=1))


def test_images_keep_their_labels_and_their_type():
    for images, labels in batches():
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, IMAGES[labels - 1000])
    unlabelled = batches(Examples(IMAGES, None))
    np.testing.assert_array_equal(unlabelled[3], batches()[3][0])
    floats = batches(Examples(IMAGES / np.float32(255), None))
    assert floats[0].dtype == np.float32


@pytest.mark.parametrize("shape", [(), (4,), (5, 3), (2, 3, 4, 5)])
def test_examples_may_have_any_rank(shape):
    x = np.random.default_rng(0).normal(size=(COUNT, *shape)).astype(np.float32)
    for features, rows in batches(Examples(x, np.arange(COUNT)), epochs=2):
        assert features.shape == (BATCH, *shape) and features.dtype == np.float32
        np.testing.assert_array_equal(features, x[rows])
    numbered = batches(Examples(x, None), index=True)
    np.testing.assert_array_equal(numbered[1]["x"], x[numbered[1]["index"]])
    held_out = list(evaluation_pipeline(Examples(x, None), batch_size=BATCH).as_numpy_iterator())
    np.testing.assert_array_equal(np.concatenate(held_out), x)


def test_shapes_are_static_and_the_length_is_known():
    dataset = training_pipeline(EXAMPLES, batch_size=BATCH, seed=0, epochs=4, start_epoch=1)
    assert [spec.shape.as_list() for spec in dataset.element_spec] == [[BATCH, 3, 3, 1], [BATCH]]
    assert dataset.cardinality() == 30
    for each in (dataset, evaluation_pipeline(EXAMPLES, batch_size=BATCH)):
        assert each.options().autotune.enabled is False
        assert each.options().deterministic is True


@pytest.mark.parametrize("binarize", [None, "dynamic"])
def test_a_resumed_run_sees_the_same_batches(binarize):
    whole = batches(epochs=4, binarize=binarize)
    for start in (1, 3, 4):
        resumed = batches(epochs=4, start_epoch=start, binarize=binarize)
        assert len(resumed) == 10 * (4 - start)
        for expected, found in zip(whole[10 * start :], resumed, strict=True):
            np.testing.assert_array_equal(expected[0], found[0])
            np.testing.assert_array_equal(expected[1], found[1])


@pytest.mark.parametrize("floats", [False, True])
def test_dynamic_binarisation_has_the_right_mean_and_is_always_fresh(floats):
    levels = np.array([0, 1, 51, 128, 254, 255], np.uint8)
    images = np.tile(np.repeat(levels, 600).reshape(1, 60, 60, 1), (4, 1, 1, 1))
    given = images.astype(np.float32) / 255 if floats else images
    drawn = batches(Examples(given, None), batch_size=2, epochs=40, binarize="dynamic")
    drawn = np.concatenate(drawn)
    assert drawn.dtype == np.uint8
    assert set(np.unique(drawn)) == {0, 255}
    means = drawn.reshape(len(drawn), 6, 600).mean((0, 2)) / 255
    assert means[0] == 0
    assert means[5] == 1
    np.testing.assert_allclose(means, levels / 255, atol=5 * 0.5 / np.sqrt(160 * 600))
    # No two draws are alike: not in a batch, not in an epoch, not in two epochs.
    gray = drawn.reshape(len(drawn), -1)[:, 1800:2400]
    assert len(np.unique(gray, axis=0)) == len(gray)
    assert (batches(Examples(given, None), batch_size=2, seed=6, binarize="dynamic")[0] != drawn[:2]).any()


def test_evaluation_keeps_order_and_remainder():
    found = list(evaluation_pipeline(EXAMPLES, batch_size=BATCH).as_numpy_iterator())
    assert [len(labels) for _, labels in found] == [10] * 10 + [3]
    np.testing.assert_array_equal(np.concatenate([images for images, _ in found]), IMAGES)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in found]), EXAMPLES.labels)
    dataset = evaluation_pipeline(Examples(IMAGES, None), batch_size=500)
    assert dataset.element_spec.shape.as_list() == [None, 3, 3, 1]
    np.testing.assert_array_equal(next(dataset.as_numpy_iterator()), IMAGES)


def test_bad_arguments():
    def error(call):
        with pytest.raises(ValueError) as caught:
            call()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "103 examples do not fill one batch of 104" in error(lambda: batches(batch_size=104))
    assert "at least 1, got 0" in error(lambda: batches(batch_size=0))
    assert "at least 1, got 0" in error(lambda: evaluation_pipeline(EXAMPLES, batch_size=0))
    assert "0 examples" in error(lambda: evaluation_pipeline(Examples(IMAGES[:0], None), batch_size=5))
    assert "start_epoch must lie in 0..epochs = 2, got 3" in error(lambda: batches(epochs=2, start_epoch=3))
    assert "binarize must be None or 'dynamic'" in error(lambda: batches(binarize="fixed"))


def numbered(dataset):
    return [int(each["index"]) for each in with_index(dataset)]


def test_a_shuffled_data_set_is_not_numbered():
    single = tf.data.Dataset.from_tensor_slices(IMAGES)
    for shuffled in (
        single.shuffle(5),
        single.shuffle(5).map(lambda x: x).batch(4).prefetch(1).unbatch(),
        tf.data.Dataset.zip((single, single.shuffle(5, seed=1))),
        single.concatenate(single.shuffle(5)).with_options(tf.data.Options()),
    ):
        with pytest.raises(ValueError, match=r"shuffled already.*with_index\(dataset\)\.shuffle") as caught:
            with_index(shuffled)
        assert "\n" not in str(caught.value)
    # One fixed order is as good as another, and what is shuffled afterwards keeps its numbers.
    assert numbered(single.shuffle(5, reshuffle_each_iteration=False)) == list(range(COUNT))
    for each in with_index(single).shuffle(COUNT).take(5):
        np.testing.assert_array_equal(each["x"], IMAGES[int(each["index"])])


REPLICAS = """
import numpy as np, tensorflow as tf
from zoo.data import Examples
from zoo.data.pipeline import evaluation_pipeline, training_pipeline
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
images = np.random.default_rng(0).integers(0, 256, (23, 4, 4, 1), dtype=np.uint8)
examples = Examples(images, np.arange(23))
for make in (
    lambda: training_pipeline(examples, batch_size=6, seed=1, epochs=3, start_epoch=1, binarize="dynamic"),
    lambda: evaluation_pipeline(examples, batch_size=6),
):
    single = list(make().as_numpy_iterator())
    spread = list(strategy.experimental_distribute_dataset(make()))
    assert len(single) == len(spread), (len(single), len(spread))
    for alone, shared in zip(single, spread):
        for whole, parts in zip(alone, shared):
            parts = [part.numpy() for part in strategy.experimental_local_results(parts)]
            assert len(parts[0]) == (len(whole) + 1) // 2, [part.shape for part in parts]
            np.testing.assert_array_equal(np.concatenate(parts), whole)
"""


@pytest.mark.slow
def test_replicas_get_consecutive_parts_of_the_same_batches():
    run = subprocess.run([sys.executable, "-c", REPLICAS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]


MEMORY = """
import resource, numpy as np, tensorflow as tf
from zoo.data import Examples
from zoo.data.pipeline import training_pipeline
images = np.full((24_500, 64, 64, 3), 7, np.uint8)
list(training_pipeline(Examples(images[:2], None), batch_size=2, seed=0, epochs=1))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
dataset = training_pipeline(Examples(images, None), batch_size=32, seed=0, epochs=1)
assert np.asarray(next(iter(dataset))).shape == (32, 64, 64, 3)
copies = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / images.nbytes
assert copies < 2.3, copies
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts memory as Linux does")
@pytest.mark.slow
def test_a_large_array_is_copied_twice_at_most():
    run = subprocess.run([sys.executable, "-c", MEMORY], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
