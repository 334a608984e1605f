"""What a model keeps of its training, and commands that are given without options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import centroids
from centroids.cli import training_plan
from centroids.cli.input_file import InputFile
from centroids.cli.settings import Settings, read_settings, write_settings
from tests.cli.run_here import run_here as run

POINTS = np.random.default_rng(3).normal(size=(300, 4)) * [1, 5, 25, 125]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "points.npy", POINTS)
    write(tmp_path / "points.csv", [0, 1, 2, 3], "a,b,c,d")
    return tmp_path


def write(file: Path, columns: list[int], names: str) -> None:
    np.savetxt(file, POINTS[:, columns], delimiter=",", header=names, comments="")


def kept(folder: Path, model: str = "model") -> dict[str, Any]:
    settings = json.loads((folder / model / "settings.json").read_text())
    assert isinstance(settings, dict)
    return settings


def test_a_mini_batch_model_stays_one(folder: Path) -> None:
    options = ["--batch-size", "50", "--no-shuffle", "--seed", "7"]
    run(folder, "train", "points.npy", "model", "-k", "3", *options)
    again = run(folder, "train", "points.npy", "model").stdout
    assert "Continuing the model in model (30 steps so far), in mini-batches." in again
    assert "Trained 30 mini-batch steps" in again  # 5 passes of 6 batches, as before
    whole = centroids.KMeansClustering(3, model_dir=str(folder / "model"))
    assert whole.get_variable_value("global_step") == 60
    want = {"version": 1, "use_mini_batch": True, "batch_size": 50, "shuffle": False, "seed": 7}
    found = kept(folder)
    assert [file["num_bytes"] for file in found.pop("inputs")] == [9728]
    assert found == {**want, "mini_batch_steps_per_iteration": 1}


@pytest.mark.parametrize("mode", ["full-batch", "mini-batch"])
def test_the_size_of_a_file_never_changes_the_mode(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3", f"--{mode}")
    # The file crosses the limit in either direction.
    bytes_now = {"full-batch": 0, "mini-batch": 1 << 40}[mode]
    monkeypatch.setattr(training_plan, "FULL_BATCH_BYTES", bytes_now)
    assert f"{mode} step" in run(folder, "train", "points.npy", "model", "--steps", "1").stdout
    new = run(folder, "train", "points.npy", "new", "-k", "3", "--steps", "1").stdout
    assert f"{mode} step" not in new


def test_another_mode_must_be_asked_for_and_is_kept(folder: Path) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3")
    told = run(folder, "train", "points.npy", "model", "--batch-size", "50", code=2).stderr
    assert told == (
        "centroids: --batch-size is for mini-batches, but the model in model is trained in full "
        "batches: leave it out, or ask for the other mode with --mini-batch\n"
    )
    told = run(folder, "train", "points.npy", "model", "--mini-batch", "--epochs", "1").stdout
    assert "From now on: mini-batches (until now full batches)" in told
    assert "mini-batch step" in run(folder, "train", "points.npy", "model").stdout


def test_seed_and_tolerance_are_kept_until_others_are_asked_for(folder: Path) -> None:
    options = ["--seed", "5", "--relative-tolerance", "0.01"]
    run(folder, "train", "points.npy", "model", "-k", "3", *options)
    run(folder, "train", "points.npy", "model")
    assert (kept(folder)["seed"], kept(folder)["relative_tolerance"]) == (5, 0.01)
    told = run(folder, "train", "points.npy", "model", "--relative-tolerance", "0.02").stdout
    assert "--relative-tolerance 0.02 (until now 0.01)" in told
    assert (kept(folder)["seed"], kept(folder)["relative_tolerance"]) == (5, 0.02)


def test_names_are_kept_without_being_asked_for(folder: Path) -> None:
    run(folder, "train", "points.csv", "model", "-k", "3")
    assert kept(folder)["columns"] == ["a", "b", "c", "d"]
    want = run(folder, "predict", "model", "points.csv").stdout
    assert len(set(want.split())) == 3
    write(folder / "other.csv", [3, 1, 0, 2], "d,b,a,c")
    assert run(folder, "predict", "model", "other.csv").stdout == want
    assert run(folder, "predict", "model", "other.csv", "--columns", "*").stdout != want
    write(folder / "renamed.csv", [0, 1, 2, 3], "w,x,y,z")
    told = run(folder, "predict", "model", "renamed.csv", code=2).stderr
    assert "renamed.csv has no column 'a'" in told and "--columns '*'" in told
    assert run(folder, "predict", "model", "renamed.csv", "--columns", "*").stdout == want
    # Files without names are taken in the order of their columns.
    np.savetxt(folder / "unnamed.csv", POINTS, delimiter=",")
    for name in ("unnamed.csv", "points.npy"):
        assert run(folder, "predict", "model", name).stdout == want


def test_a_run_that_stopped_within_a_file_goes_on_with_its_names(folder: Path) -> None:
    options = ["--batch-size", "50", "--steps", "2"]
    run(folder, "train", "points.csv", "model", "-k", "3", *options)
    run(folder, "train", "points.csv", "model", "--steps", "3")
    run(folder, "train", "points.csv", "whole", "-k", "3", "--batch-size", "50", "--max-steps", "5")
    parts, whole = (centroids.KMeansClustering(3, folder / name) for name in ("model", "whole"))
    np.testing.assert_array_equal(parts.cluster_centers(), whole.cluster_centers())


def test_a_model_of_the_library_keeps_its_mode_and_seed(folder: Path) -> None:
    kmeans = centroids.KMeansClustering(
        3, folder / "model", random_seed=9, mini_batch_steps_per_iteration=2
    )
    kmeans.train(centroids.inputs.numpy_input_fn(POINTS, batch_size=100, shuffle=False), steps=4)
    told = run(folder, "train", "points.npy", "model", "--epochs", "1").stdout
    assert "Trained 1 mini-batch step" in told
    assert kept(folder)["mini_batch_steps_per_iteration"] == 2 and kept(folder)["seed"] == 9


def test_the_columns_of_an_older_version_are_taken_over(folder: Path) -> None:
    run(folder, "train", "points.csv", "model", "-k", "3", "--columns", "b,a")
    want = run(folder, "predict", "model", "points.csv").stdout
    (folder / "model" / "settings.json").unlink()
    (folder / "model" / "columns.json").write_text('{"columns": ["b", "a"]}')
    assert run(folder, "predict", "model", "points.csv").stdout == want
    run(folder, "train", "points.csv", "model", "--steps", "1")
    assert kept(folder)["columns"] == ["b", "a"]
    assert not (folder / "model" / "columns.json").exists()


def test_how_text_is_written_is_kept(folder: Path) -> None:
    lines = [";".join(f"{value:.3f}".replace(".", ",") for value in row) for row in POINTS]
    (folder / "european.csv").write_text("title\na;b;c;d\n" + "\n".join(lines) + "\n")
    options = ["--decimal", ",", "--skip-lines", "1"]
    run(folder, "train", "european.csv", "model", "-k", "3", *options)
    assert kept(folder)["text"] == {"decimal": ",", "skip_lines": 1}
    labels = run(folder, "predict", "model", "european.csv").stdout
    np.save(folder / "rounded.npy", np.round(POINTS, 3))
    assert run(folder, "predict", "model", "rounded.npy").stdout == labels
    # What is said overrides it, the default too.
    refused = run(folder, "predict", "model", "points.csv", code=2).stderr
    assert refused.startswith("centroids: points.csv")
    run(folder, "predict", "model", "points.csv", "--decimal", ".", "--skip-lines", "0")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("[1]", "it holds no settings"),
        ("{}", "its version is None"),
        ('{"version": 1, "seed": 1.5}', "its seed is 1.5"),
        ('{"version": 1, "use_mini_batch": 1}', "its use_mini_batch is 1"),
        ('{"version": 1, "relative_tolerance": NaN}', "its relative_tolerance is nan"),
        ('{"version": 1, "columns": [null]}', "its columns is [None]"),
        ('{"version": 1, "text": {"decimal": "x"}}', "its text is"),
        ('{"version": 1, "inputs": [{"num_bytes": 1}]}', "its inputs is"),
        ('{"version": 1, "colour": 3}', "unknown setting 'colour'"),
        ("\xff", "is damaged"),
    ],
)
def test_damaged_settings_are_told(folder: Path, text: str, reason: str) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3")
    before = (folder / "model" / "checkpoint").read_bytes()
    (folder / "model" / "settings.json").write_bytes(text.encode("latin-1"))
    for command in (["train", "points.npy", "model"], ["inspect", "model"]):
        told = run(folder, *command, code=2).stderr
        assert told.startswith("centroids: model/settings.json is damaged: ") and reason in told
        assert len(told.splitlines()) == 1
    assert (folder / "model" / "checkpoint").read_bytes() == before
    # What the message says helps.
    (folder / "model" / "settings.json").rename(folder / "aside")
    run(folder, "train", "points.npy", "model")


def test_settings_of_a_newer_version_are_refused(folder: Path) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3")
    (folder / "model" / "settings.json").write_text('{"version": 2, "colour": 3}')
    told = run(folder, "train", "points.npy", "model", code=2).stderr
    assert "model/settings.json was written by a newer centroids (version 2" in told


def test_options_for_new_models_are_not_ignored_in_silence(folder: Path) -> None:
    run(folder, "train", "points.npy", "model", "-k", "3")
    told = run(folder, "train", "points.npy", "model", "--initial-clusters", "random").stdout
    assert "--initial-clusters is for new models" in told


def test_any_damage_of_settings_is_told_or_harmless(tmp_path: Path) -> None:
    inputs = (InputFile(40, 9, "ab"), InputFile(0, 8, "cd"))
    settings = Settings(True, 50, False, 2, 0.5, 7, ("a", "b"), {"decimal": ","}, 12, inputs)
    write_settings(tmp_path, settings)
    assert read_settings(tmp_path) == settings
    file = tmp_path / "settings.json"
    whole = file.read_bytes()
    for length in range(len(whole.rstrip())):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"settings\.json is damaged"):
            read_settings(tmp_path)
    random = np.random.default_rng(0)
    for _ in range(500):
        damaged = bytearray(whole)
        damaged[random.integers(len(damaged))] = random.integers(256)
        file.write_bytes(damaged)
        try:
            read_settings(tmp_path)
        except ValueError as error:
            assert "settings.json" in str(error)


@pytest.mark.parametrize(
    "text", ['{"columns": ["b", "a"]}', '{"columns": ["a"], "of": "another program"}', "[1]"]
)
def test_a_file_of_columns_of_another_program_stays(folder: Path, text: str) -> None:
    """No model was there that it could belong to."""
    (folder / "model").mkdir()
    (folder / "model" / "columns.json").write_text(text)
    for _ in range(2):
        run(folder, "train", "points.csv", "model", "-k", "3", "--steps", "1")
    assert (folder / "model" / "columns.json").read_text() == text


@pytest.mark.parametrize("seed", [-1, -(2**63), 2**70])
def test_any_seed_of_the_library_is_kept(folder: Path, seed: int) -> None:
    kmeans = centroids.KMeansClustering(3, folder / "model", random_seed=seed)
    kmeans.train(centroids.inputs.numpy_input_fn(POINTS, batch_size=100, shuffle=False), steps=4)
    run(folder, "train", "points.npy", "model", "--epochs", "1")
    assert kept(folder)["seed"] == seed


@pytest.mark.parametrize("mode", ["--mini-batch", "--full-batch"])
def test_seeds_below_0_are_seeds_of_their_own(folder: Path, mode: str) -> None:
    centers = []
    for name, seed in (("a", "-5"), ("b", "-5"), ("c", "5")):
        run(folder, "train", "points.npy", name, "-k", "3", mode, "--seed", seed, "--steps", "1")
        centers.append(centroids.KMeansClustering(3, folder / name).cluster_centers())
    np.testing.assert_array_equal(centers[0], centers[1])
    assert (centers[0] != centers[2]).any()


def test_a_first_training_that_meets_a_bad_row_leaves_nothing(folder: Path) -> None:
    bad = POINTS.copy()
    bad[200, 1] = np.nan
    np.save(folder / "bad.npy", bad)
    before = sorted(folder.iterdir())
    run(folder, "train", "bad.npy", "model", "-k", "3", "--mini-batch", code=2)
    assert sorted(folder.iterdir()) == before
    assert "full-batch step" in run(folder, "train", "points.npy", "model", "-k", "3").stdout


def test_settings_of_another_program_stay(folder: Path) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "settings.json").write_text('{"theme": "dark"}')
    told = run(folder, "train", "points.csv", "model", "-k", "3", code=2).stderr
    assert "settings.json" in told and "Move the file away" in told
    assert (folder / "model" / "settings.json").read_text() == '{"theme": "dark"}'
    assert [path.name for path in (folder / "model").iterdir()] == ["settings.json"]
