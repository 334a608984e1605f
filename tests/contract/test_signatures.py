"""The order of arguments is that of TensorFlow 1.4.1, whose own signatures these are."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import centroids
from centroids import estimator

OF_TENSORFLOW = {
    "StopAtStepHook": "num_steps last_step",
    "LoggingTensorHook": "tensors every_n_iter every_n_secs at_end formatter",
    "StepCounterHook": "every_n_steps every_n_secs output_dir summary_writer",
    "CheckpointSaverHook": (
        "checkpoint_dir save_secs save_steps saver checkpoint_basename scaffold listeners"
    ),
    "SummarySaverHook": "save_steps save_secs output_dir summary_writer scaffold summary_op",
    "NanTensorHook": "loss_tensor fail_on_nan_loss",
    "FinalOpsHook": "final_ops final_ops_feed_dict",
    "GlobalStepWaiterHook": "wait_until_step",
    "ProfilerHook": "save_steps save_secs output_dir show_dataflow show_memory",
    "SecondOrStepTimer": "every_secs every_steps",
    "SessionRunArgs": "fetches feed_dict options",
    "SessionRunValues": "results options run_metadata",
    "RunConfig": (
        "model_dir tf_random_seed save_summary_steps save_checkpoints_steps "
        "save_checkpoints_secs session_config keep_checkpoint_max "
        "keep_checkpoint_every_n_hours log_step_count_steps"
    ),
    "TrainSpec": "input_fn max_steps hooks",
    "EvalSpec": "input_fn steps name hooks exporters start_delay_secs throttle_secs",
    "LatestExporter": "name serving_input_receiver_fn assets_extra as_text exports_to_keep",
    "FinalExporter": "name serving_input_receiver_fn assets_extra as_text",
    "train_and_evaluate": "estimator train_spec eval_spec",
    "Estimator": "model_fn model_dir config params",
    "Exporter.export": "estimator export_path checkpoint_path eval_result is_the_final_export",
    "Estimator.train": "input_fn hooks steps max_steps saving_listeners",
    "Estimator.evaluate": "input_fn steps hooks checkpoint_path name",
    "Estimator.predict": "input_fn predict_keys hooks checkpoint_path",
    "Estimator.export_savedmodel": (
        "export_dir_base serving_input_receiver_fn assets_extra as_text checkpoint_path"
    ),
    "Estimator.get_variable_value": "name",
    "SessionRunHook.after_create_session": "session coord",
    "SessionRunHook.before_run": "run_context",
    "SessionRunHook.after_run": "run_context run_values",
    "SessionRunHook.end": "session",
    "CheckpointSaverListener.before_save": "session global_step_value",
    "CheckpointSaverListener.after_save": "session global_step_value",
    "CheckpointSaverListener.end": "session global_step_value",
}


def find(name: str) -> Any:
    owner, _, method = name.partition(".")
    found = getattr(centroids, owner, None) or getattr(estimator, owner)
    return getattr(found, method) if method else found


@pytest.mark.parametrize("name", OF_TENSORFLOW)
def test_arguments_come_in_the_order_of_r14(name: str) -> None:
    expected = OF_TENSORFLOW[name].split()
    names = [each for each in inspect.signature(find(name)).parameters if each != "self"]
    assert names[: len(expected)] == expected
