"""Outputs that would take the place of what is read, and places that are not of this machine."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.run_here import run_here as run

pytest.importorskip("pyarrow")

POINTS = np.random.default_rng(0).normal(size=(60, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    np.save(tmp_path / "points.npy", POINTS)
    np.savetxt(tmp_path / "points.csv", POINTS, delimiter=",", header="a,b,c", comments="")
    pq.write_table(pa.table(dict(zip("abc", POINTS.T, strict=True))), tmp_path / "points.parquet")
    run(tmp_path, "train", "points.csv", "model", "-k", "3", "--quiet")
    return tmp_path


@pytest.mark.parametrize("command", ["predict", "transform"])
@pytest.mark.parametrize("name", ["points.npy", "points.csv", "points.parquet"])
@pytest.mark.parametrize("given", ["{}", "./{}", "points*{ending}"])
def test_points_are_not_overwritten_by_their_labels(
    folder: Path, command: str, name: str, given: str
) -> None:
    before = (folder / name).read_bytes()
    read = given.format(name, ending=Path(name).suffix)
    done = run(folder, command, "model", read, "--output", name, code=2)
    assert f"--output {name} has the points themselves" in done.stderr
    assert (folder / name).read_bytes() == before


def test_labels_do_not_become_points_of_the_next_run(folder: Path) -> None:
    (folder / "many").mkdir()
    shutil.copy(folder / "points.csv", folder / "many")
    done = run(folder, "predict", "model", "many", "--output", "many/labels.csv", code=2)
    assert "--output many/labels.csv would be among the points" in done.stderr
    assert [path.name for path in (folder / "many").iterdir()] == ["points.csv"]
    run(folder, "predict", "model", "many", "--output", "labels.csv")


def test_a_model_folder_is_on_this_machine(folder: Path) -> None:
    done = run(folder, "train", "points.csv", "s3://bucket/model", "-k", "2", code=2)
    assert "MODEL_DIR must be a folder of this machine, got s3://bucket/model" in done.stderr
    assert not (folder / "s3:").exists()


@pytest.mark.parametrize("pattern", ["no*.parquet", "no/*.pq", "no*.csv"])
def test_a_pattern_without_files_says_so(folder: Path, pattern: str) -> None:
    done = run(folder, "train", pattern, "other", "-k", "2", code=2)
    assert f"{pattern} is a pattern that matches no file" in done.stderr


def everything(folder: Path) -> dict[str, int]:
    return {str(file): file.lstat().st_mtime_ns for file in folder.rglob("*")}


WRITING = {
    "predict": ("--output", ".npy", ["predict", "model", "points.npy", "-o"]),
    "predict a table": ("--output", ".parquet", ["predict", "model", "points.csv", "-o"]),
    "transform": ("--output", ".csv", ["transform", "model", "points.npy", "-o"]),
    "report": ("--output", ".html", ["report", "model", "points.npy", "--no-umap", "-o"]),
    "choose-k": ("--plot", ".svg", ["choose-k", "points.npy", "-k", "2-3", "--plot"]),
    "quantize": ("--output", ".png", ["quantize", "picture.png", "-k", "2", "-o"]),
    "export": ("OUTPUT", ".csv", ["export", "model"]),
}


@pytest.fixture
def with_picture(folder: Path) -> Path:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    image.fromarray(pixels).save(folder / "picture.png")
    return folder


@pytest.mark.parametrize("command", WRITING)
def test_no_output_mixes_with_a_model(with_picture: Path, command: str) -> None:
    folder, (name, ending, words) = with_picture, WRITING[command]
    outputs = [f"model/x{ending}", f"model/../model/x{ending}"]
    if sys.platform != "win32":
        (folder / "linked").symlink_to("model")
        outputs.append(f"linked/x{ending}")
    before = everything(folder)
    for output in outputs:
        told = run(folder, *words, output, code=2).stderr
        assert told == (
            f"centroids: {name} {output} would be among the files of the model in model: "
            "choose another folder\n"
        )
    assert everything(folder) == before


@pytest.mark.parametrize("output", ["model", "model/served", "model/eval"])
def test_no_saved_model_mixes_with_a_model(folder: Path, output: str) -> None:
    before = everything(folder)
    told = run(folder, "export", "model", output, code=2).stderr
    assert f"OUTPUT {output} would be among the files of the model in model: " in told
    assert everything(folder) == before
    run(folder, "export", "model", "model/export/served")  # as Estimators do
    run(folder, "export", "model", "served")


@pytest.mark.parametrize("model_dir", ["many/model", "many", "many/deep/model"])
def test_a_model_does_not_become_points_of_the_next_run(folder: Path, model_dir: str) -> None:
    (folder / "many").mkdir()
    shutil.copy(folder / "points.csv", folder / "many")
    told = run(folder, "train", "many", model_dir, "-k", "2", code=2).stderr
    assert told == (
        f"centroids: MODEL_DIR {model_dir} would be among the points in many: choose a folder "
        "outside\n"
    )
    assert [path.name for path in (folder / "many").iterdir()] == ["points.csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such devices")
@pytest.mark.parametrize("command", WRITING)
def test_a_device_or_a_place_that_cannot_be_written(with_picture: Path, command: str) -> None:
    folder, (name, ending, words) = with_picture, WRITING[command]
    (folder / f"null{ending}").symlink_to(os.devnull)
    (folder / f"folder{ending}").mkdir()
    os.mkfifo(folder / f"pipe{ending}")
    device = "is a device or a pipe: give the name of a file"
    problems = {
        f"null{ending}": device,
        f"pipe{ending}": device,
        f"folder{ending}": "is a folder: give the name of a file",
        f"none/x{ending}": "there is no folder none",
        f"points.npy/x{ending}": "points.npy is a file, not a folder",
    }
    if sys.platform == "linux":  # nobody can write there, nor is it known before
        problems[f"/proc/1/x{ending}"] = ""
    before = everything(folder)
    for output, problem in problems.items():
        told = run(folder, *words, output, code=2).stderr
        assert told.startswith(f"centroids: {name} {output}: {problem}"), told
        assert told.count("\n") == 1 and everything(folder) == before


@pytest.mark.skipif(sys.platform != "linux", reason="a folder where nobody can write")
def test_a_model_that_cannot_be_written_is_named_as_on_the_command_line(folder: Path) -> None:
    told = run(folder, "train", "points.csv", "/proc/1/model", "-k", "2", code=2).stderr
    assert told.startswith("centroids: /proc/1/model: MODEL_DIR cannot be written (")
    told = run(folder, "export", "model", "/proc/1/served", code=2).stderr
    assert told.startswith("centroids: /proc/1/served: OUTPUT cannot be written (")


@pytest.mark.parametrize(
    "command",
    [
        ["train", "model", "new", "-k", "2"],
        ["train", "points.csv", "new", "-k", "2", "--validation", "model"],
        ["predict", "model", "model", "-o", "out.npy"],
        ["evaluate", "model", "model"],
        ["choose-k", "model", "-k", "2-3"],
    ],
)
def test_a_model_is_not_read_as_points(folder: Path, command: list[str]) -> None:
    before = everything(folder)
    told = run(folder, *command, code=2).stderr
    assert told == "centroids: model is the folder of a model; a file of points is needed\n"
    assert everything(folder) == before


@pytest.mark.parametrize("command", [["train", "-", "new", "-k", "2"], ["evaluate", "model", "-"]])
def test_standard_input_is_not_read(folder: Path, command: list[str]) -> None:
    told = run(folder, *command, code=2).stderr
    assert told == "centroids: - is standard input, which is not read: write the points to a file\n"


@pytest.mark.parametrize("name", ["none.csv", "none.npy"])
def test_a_model_does_not_go_on_with_a_file_without_rows(folder: Path, name: str) -> None:
    (folder / "none.csv").write_text("a,b,c\n")
    np.save(folder / "none.npy", POINTS[:0])
    run(folder, "train", "points.csv", "small", "-k", "2", "--mini-batch", "--quiet")
    before = everything(folder)
    told = run(folder, "train", name, "small", code=2).stderr
    assert told == f"centroids: {name} has no rows\n" and everything(folder) == before


@pytest.mark.parametrize("rows", [0, 5000], ids=["in the first lines", "far behind them"])
@pytest.mark.parametrize("options", [["-o", "x.npy"], ["-o", "x.parquet"], ["--append"]])
def test_a_bad_cell_is_named_by_its_line_whatever_is_written(
    folder: Path, rows: int, options: list[str]
) -> None:
    (folder / "bad.csv").write_text("a,b,c\n" + "1,2,3\n" * rows + "1,x,3\n2,3,4\n")
    before = everything(folder)
    told = run(folder, "predict", "model", "bad.csv", *options, code=2)
    line = f"centroids: bad.csv, line {rows + 2}, column 'b': 'x' is not a number"
    assert told.stderr.startswith(line) and told.stderr.count("\n") == 1 and not told.stdout
    assert everything(folder) == before


def test_a_new_model_is_not_among_the_files_of_another(folder: Path) -> None:
    before = everything(folder)
    told = run(folder, "train", "points.csv", "model/inner", "-k", "2", code=2).stderr
    assert told == (
        "centroids: MODEL_DIR model/inner would be among the files of the model in model: choose "
        "another folder\n"
    )
    long = "m" * 300
    told = run(folder, "train", "points.csv", long, "-k", "2", code=2).stderr
    assert told == f"centroids: MODEL_DIR {long}: File name too long\n"
    assert everything(folder) == before


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such devices")
@pytest.mark.parametrize("device", ["/dev/stdout", "/dev/fd/1", "/dev/null"])
def test_no_device_is_replaced_by_a_file(folder: Path, device: str) -> None:
    before = os.lstat(device).st_mode
    told = run(folder, "export", "model", device, "--format", "csv", code=2).stderr
    assert told == (f"centroids: OUTPUT {device}: is a device or a pipe: give the name of a file\n")
    assert os.lstat(device).st_mode == before


@pytest.mark.skipif(sys.platform == "win32", reason="names cannot have them there")
def test_names_with_blanks_and_quotes_are_advised_as_they_are_typed(folder: Path) -> None:
    told = run(folder, "inspect", "my model's", code=2).stderr
    assert "centroids train POINTS 'my model'\"'\"'s' --num-clusters K" in told
    told = run(folder, "evaluate", "model", "a\nb.xyz", code=2).stderr
    assert told.count("\n") == 1
