"""Every public method in every variant, against the float64 oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import centroids
from centroids import kernels
from tests import oracle
from tests.contract.conftest import NUM_CLUSTERS, NUM_POINTS, Case

InputFn = Callable[[], Any]
STEPS = 10


class Recorder(centroids.SessionRunHook):
    """Keeps what it fetches of every step."""

    def __init__(self, fetch: str) -> None:
        self.fetch, self.values = fetch, list[Any]()

    def before_run(self, run_context: centroids.SessionRunContext) -> centroids.SessionRunArgs:
        return centroids.SessionRunArgs(self.fetch)

    def after_run(
        self,
        run_context: centroids.SessionRunContext,
        run_values: centroids.SessionRunValues,
    ) -> None:
        self.values.append(run_values.results)


def test_training_follows_the_oracle(
    case: Case, model: centroids.KMeansClustering, batches: list[np.ndarray], input_fn: InputFn
) -> None:
    recorder = Recorder("loss")
    assert model.train(input_fn, hooks=[recorder], steps=STEPS) is model
    truth = case.oracle(batches[0][:NUM_CLUSTERS])
    losses = [truth.step(batches[step % len(batches)]) for step in range(STEPS)]
    np.testing.assert_allclose(recorder.values, losses, rtol=case.tolerance)
    np.testing.assert_allclose(
        model.cluster_centers(), truth.centers, rtol=case.tolerance, atol=case.tolerance
    )
    assert model.cluster_centers().dtype == case.dtype
    np.testing.assert_array_equal(model.get_variable_value("cluster_counts"), truth.counts)
    assert int(model.get_variable_value("global_step")) == STEPS
    assert bool(model.get_variable_value("initialized"))
    if case.mode == "multi":
        assert int(model.get_variable_value("update_in_steps")) == STEPS % 3
        np.testing.assert_allclose(
            model.get_variable_value("clusters_updated"),
            truth.gathered,
            rtol=case.tolerance,
            atol=case.tolerance,
        )


def test_labels_can_be_fetched_in_training(
    case: Case, model: centroids.KMeansClustering, batches: list[np.ndarray], input_fn: InputFn
) -> None:
    recorder = Recorder("cluster_index")
    model.train(input_fn, hooks=[recorder], steps=2)
    truth = oracle.distances(batches[0], batches[0][:NUM_CLUSTERS], case.metric)
    chosen = truth[np.arange(len(truth)), recorder.values[0]]
    assert (chosen <= truth.min(axis=1) + 1e-6).all()
    assert [len(labels) for labels in recorder.values] == [len(batches[0])] * 2


def test_inference_follows_the_oracle(
    case: Case,
    model: centroids.KMeansClustering,
    points: np.ndarray,
    input_fn: InputFn,
    once: InputFn,
) -> None:
    model.train(input_fn, steps=5)
    truth = oracle.distances(points, model.cluster_centers(), case.metric)
    index = np.array(list(model.predict_cluster_index(once)))
    distances = np.array(list(model.transform(once)))
    np.testing.assert_allclose(
        distances, truth, rtol=1e-5, atol=1e-5 if case.dtype == np.float32 else 1e-9
    )
    assert index.shape == (NUM_POINTS,)
    chosen = truth[np.arange(NUM_POINTS), index]
    assert (chosen <= truth.min(axis=1) + 1e-6).all()

    examples = list(model.predict(once))
    assert set(examples[0]) == {"all_distances", "cluster_index"}
    np.testing.assert_array_equal([example["cluster_index"] for example in examples], index)
    whole = list(model.predict(once, yield_single_examples=False))
    assert [len(batch["cluster_index"]) for batch in whole] == [100, 100, 40]
    np.testing.assert_array_equal(
        np.concatenate([batch["all_distances"] for batch in whole]), distances
    )

    first_batch = truth.min(axis=1)[:100].sum()
    assert model.score(once) == pytest.approx(first_batch, rel=1e-5)
    result = model.evaluate(once)
    per_batch = [truth.min(axis=1)[at : at + 100].sum() for at in range(0, NUM_POINTS, 100)]
    assert result["score"] == pytest.approx(np.mean(per_batch), rel=1e-5)
    assert result["loss"] == result["score"]
    assert result["global_step"] == 5
    assert result["num_examples"] == NUM_POINTS
    assert result["mean_distance"] == pytest.approx(truth.min(axis=1).mean(), rel=1e-5)


def test_a_new_object_goes_on_where_the_old_one_stopped(
    case: Case, model: centroids.KMeansClustering, batches: list[np.ndarray], points: np.ndarray
) -> None:
    def laid_out(parts: list[np.ndarray]) -> InputFn:
        return lambda: (case.layout(part) for part in parts)

    sequence = [batches[step % len(batches)] for step in range(8)]
    straight = centroids.KMeansClustering(
        NUM_CLUSTERS, initial_clusters=points[:NUM_CLUSTERS], **case.arguments
    ).train(laid_out(sequence))
    model.train(laid_out(sequence[:4]))
    reopened = centroids.KMeansClustering(NUM_CLUSTERS, model_dir=model.model_dir, **case.arguments)
    np.testing.assert_array_equal(reopened.cluster_centers(), model.cluster_centers())
    reopened.train(laid_out(sequence[4:]))
    for name in straight.get_variable_names():
        np.testing.assert_array_equal(
            reopened.get_variable_value(name), straight.get_variable_value(name), err_msg=name
        )


def test_equal_runs_give_equal_bits_for_any_number_of_threads(
    case: Case, points: np.ndarray, input_fn: InputFn
) -> None:
    seen = []
    for threads in (1, 2, 3, 7):
        kernels.set_num_threads(threads)
        model = centroids.KMeansClustering(
            NUM_CLUSTERS, initial_clusters="random", random_seed=3, **case.arguments
        ).train(input_fn, steps=6)
        seen.append({n: model.get_variable_value(n).tobytes() for n in model.get_variable_names()})
    kernels.set_num_threads(0)
    assert all(bits == seen[0] for bits in seen)


@pytest.mark.parametrize(
    "method", ["random", "kmeans_plus_plus", "kmeans_parallel", "kmeans_rejection", "callable"]
)
def test_every_initialisation(case: Case, method: str, input_fn: InputFn) -> None:
    chosen: list[int] = []

    def pick(points: Any, remaining: int) -> Any:
        chosen.append(remaining)
        return points[:3][: min(3, remaining)]

    model = centroids.KMeansClustering(
        NUM_CLUSTERS,
        initial_clusters=pick if method == "callable" else method,
        kmeans_plus_plus_num_retries=-1,
        **case.arguments,
    )
    model.train(input_fn, steps=2)
    assert model.cluster_centers().shape == (NUM_CLUSTERS, 12)
    assert np.isfinite(model.cluster_centers()).all()
    if method == "callable":
        assert chosen == [7, 4, 1]
