"""What the command line advises can be pasted and helps."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.run_here import run_here as run


@pytest.mark.parametrize(
    "text",
    [
        "when,age,income (net)\n2024-01-01,31,5\n2024-01-02,45,6\n",
        "Export vom 1.1.2024\n\na;b;c\n1;2;3\n4;5;7\n",
        "a;b\n1\u00a0234;5\n2\u00a0000;6\n",
        "a;b\n1.234.567;5\n2.000;6\n",
        "a;b\n1.234,5;5\n2.000;6\n",
    ],
)
def test_advice_is_pasted(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    told = run(tmp_path, "train", "a.csv", "m", "-k", "1", code=2).stderr
    advice = re.findall(r"(--(?:columns|skip-lines|decimal|thousands)) ('[^']*'|\S+)", told)
    options = [word for option, value in advice for word in (option, *shlex.split(value))]
    assert options, told
    run(tmp_path, "train", "a.csv", "m", "-k", "1", *options)


def test_the_decimal_mark_is_named_with_the_thousands(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a;b\n1.234;5\n2.000;6\n")
    told = run(tmp_path, "train", "a.csv", "m", "-k", "1", "--thousands", ".", code=2).stderr
    assert "say --decimal , --thousands ." in told
    told = run(tmp_path, "train", "a.csv", "m", "-k", "1").stderr
    assert "if it groups digits, say --decimal , --thousands ." in told


PEOPLE = (
    "id,name,city,age,income\n"
    "7,Anna,Ulm,31,5\n8,Ben,Bonn,45,6\n9,Carl,Ulm,44,3\n12,Dora,Kiel,23,4\n13,Eva,Ulm,52,9\n"
)


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_all_columns_of_text_are_named_and_no_id_is_offered(name: str, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    (tmp_path / "people.csv").write_text(PEOPLE)
    pandas.read_csv(tmp_path / "people.csv").to_parquet(tmp_path / "people.parquet")
    told = run(tmp_path, "train", name, "m", "-k", "2", code=2).stderr
    assert told.count("\n") == 1 and "'name'" in told and "'city'" in told
    advice = re.search(r"choose other columns with (--columns \S+) \('id' looks like an id\)", told)
    ids = re.search(r"name the rows with (--id-column id)\n", told)
    assert advice is not None and ids is not None, told
    assert advice[1] == "--columns age,income"
    run(tmp_path, "train", name, "m", "-k", "2", *advice[1].split(), *ids[1].split())
    done = run(tmp_path, "predict", "m", name, "--id-column", "id")
    ids_of_rows = [line.partition(",")[0].strip('"') for line in done.stdout.splitlines()[1:]]
    assert ids_of_rows == ["7", "8", "9", "12", "13"]


def test_a_column_that_counts_up_may_be_an_id(tmp_path: Path) -> None:
    rows = "\n".join(f"{number},{number % 3},{number % 4}" for number in range(1, 9))
    (tmp_path / "t.csv").write_text(f"person,a,b\n{rows}\n")
    told = run(tmp_path, "train", "t.csv", "m", "-k", "2").stderr
    advice = "if it is an id, choose other columns with --columns a,b, or say --id-column person\n"
    assert told.endswith(advice)
    run(tmp_path, "train", "t.csv", "n", "-k", "2", "--id-column", "person")
    told = run(tmp_path, "score", "m", "t.csv", "--columns", "*").stderr
    assert "choose other columns with --columns a,b\n" in told  # it has no --id-column


@pytest.mark.parametrize("mode", ["--full-batch", "--mini-batch"])
def test_columns_without_a_value_are_named_with_their_file(mode: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,a,b,c,d\n1,2,,,3\n2,4,,NA,5\n4,1,,,2\n")
    options = ["-k", "2", "--missing", "mean", mode, "--id-column", "id"]
    told = run(tmp_path, "train", "t.csv", "m", *options, code=2).stderr
    assert told.count("\n") == 1 and not (tmp_path / "m").exists()
    assert "t.csv: columns 'b', 'c' have no value in any row that counts" in told
    assert "choose other columns with --columns a,d\n" in told
    told = run(tmp_path, "choose-k", "t.csv", *options[:4], "--columns", "a,b", code=2).stderr
    assert "t.csv: column 'b' has no value" in told and "--columns a\n" in told
    (tmp_path / "n.csv").write_text("1.5,,3\n2,,5\n1,,2\n")
    options = ["-k", "2", "--missing", "mean", mode, "--no-header", "--columns", "2,1"]
    told = run(tmp_path, "train", "n.csv", "m", *options, code=2).stderr
    assert "n.csv: column 1 has no value" in told and told.endswith("--columns 2\n")


def test_an_encoding_is_advised_and_helps(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("Größe,b\n1,2\n3,4\n".encode("cp1252"))
    told = run(tmp_path, "train", "t.csv", "m", "-k", "1").stderr
    assert "say how the file is written, such as --encoding cp1252" in told
    told = run(tmp_path, "train", "t.csv", "n", "-k", "1", "--columns", "Größe", code=2).stderr
    assert "say how it is written, such as --encoding cp1252" in told and told.count("\n") == 1
    run(tmp_path, "train", "t.csv", "n", "-k", "1", "--columns", "Größe", "--encoding", "cp1252")
    (tmp_path / "t.csv").write_bytes("a,b\n1,2\n3,4\n".encode("utf-16-le"))
    told = run(tmp_path, "train", "t.csv", "o", "-k", "1", code=2).stderr
    assert "it is text in UTF-16; say --encoding utf-16-le" in told
    run(tmp_path, "train", "t.csv", "o", "-k", "1", "--encoding", "utf-16-le")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("0,1,2\n1,x,3\n2,4,5\n", []),  # a guess about the header
        (",a,b\n0,1,2\n1,x,3\n2,4,5\n", []),  # an index
        ("# made by hand\na,b\n1,2\nx,3\n", []),
        ("n,a\n1,3\n2,4\n3,3\n4,1\n5,5\n6,7\n7,x\n", []),  # what may be an id
        ("a,b\n1,2\n3,4\n", ["--num-clusters", "9"]),
    ],
)
def test_an_error_is_one_line_whatever_was_in_doubt(
    text: str, options: list[str], tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(text)
    told = run(tmp_path, "train", "t.csv", "m", "-k", "2", *options, code=2).stderr
    assert told.count("\n") == 1
    told = run(tmp_path, "choose-k", "t.csv", "-k", "2-3", code=2).stderr
    assert told.count("\n") == 1
