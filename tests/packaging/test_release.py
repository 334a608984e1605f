"""What a release is made of: the version, workflows, licences, requirements and metadata."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import centroids

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def script(name: str) -> Any:
    specification = importlib.util.spec_from_file_location(name, ROOT / "release" / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def workflow(path: Path) -> Any:
    yaml: Any = pytest.importorskip("yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_command_of_a_workflow_is_a_target(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    commands = [step["run"] for step in steps(path) if "run" in step]
    assert commands
    for command in commands:
        make, target, *settings = command.split()
        assert make == "make" and target in targets, command
        assert all(re.fullmatch(r"[A-Z]+=[\w-]+", setting) for setting in settings), command


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_permissions_at_their_least(path: Path) -> None:
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
    whole = workflow(path)
    assert whole["permissions"] in ({}, {"contents": "read"})
    for job in whole["jobs"].values():
        for what, how in job.get("permissions", {}).items():
            assert (what, how) in {("contents", "read"), ("id-token", "write")}


def test_the_targets_of_ci_run_are_in_a_workflow() -> None:
    ours = re.findall(r"^make .*$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)
    theirs = [step.get("run") for step in steps(ROOT / ".github/workflows/test.yml")]
    assert len(ours) >= 5 and not set(ours) - set(theirs)


def test_the_version_stands_in_one_place() -> None:
    found = [
        path
        for pattern in ("*.toml", "*.cff", "src/**/*.py", "release/**/*.*", "docs/*.md")
        for path in ROOT.glob(pattern)
        if path.parent.name != "__pycache__"
        if re.search(
            rf"version[\W_]+{re.escape(centroids.__version__)}\b", path.read_text(encoding="utf-8")
        )
    ]
    assert [path.name for path in found] == ["__init__.py"]


def test_a_release_is_refused_until_all_names_it(tmp_path: Path) -> None:
    release = script("release")
    (tmp_path / "src/centroids").mkdir(parents=True)
    init, log = tmp_path / "src/centroids/__init__.py", tmp_path / "CHANGELOG.md"
    init.write_text('\n__version__ = "1.2.2"\n')
    log.write_text("# Changelog\n\n## 1.2.3, unreleased\n")
    (first, second) = release.faults(tmp_path, "1.2.3")
    assert "__init__.py" in first and "CHANGELOG.md" in second
    assert "1.2.3rc1, got '1.2'" in release.faults(tmp_path, "1.2")[0]
    init.write_text('\n__version__ = "1.2.3"\n')
    log.write_text("# Changelog\n\n## 1.2.3, 2026-11-28\n")
    assert release.faults(tmp_path, "1.2.3") == []


def test_requirements_of_a_release_have_hashes() -> None:
    text = (ROOT / "release/requirements.txt").read_text(encoding="utf-8")
    pinned = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in each for each in pinned)
    names = {each.split("==")[0] for each in pinned}
    asked = (ROOT / "release/requirements.in").read_text(encoding="utf-8").splitlines()
    wanted = {re.split(r"[<;=\s]", line)[0] for line in asked if line and line[0] != "#"}
    assert len(wanted) >= 8 and not wanted - names
    build = {re.split(r"[<>=\s]", each)[0] for each in PROJECT["build-system"]["requires"]}
    assert not build - names


def test_the_bill_of_materials_names_a_licence_that_is_there() -> None:
    sbom = script("sbom")
    assert {path for *_, path in sbom.BUNDLED} == {
        f"licenses/{path.name}" for path in (ROOT / "licenses").iterdir()
    }
    bill = sbom.bill_of_materials()
    assert bill["metadata"]["component"]["version"] == centroids.__version__
    assert all(each["licenses"] and each["purl"] for each in bill["components"])


def test_the_group_of_extras_is_what_the_extras_ask_for() -> None:
    extras, group = PROJECT["project"]["optional-dependencies"], PROJECT["dependency-groups"]
    elsewhere = {"onnx", "ray"}  # in the group of the slow tests
    asked = {
        one
        for name in extras.keys() - elsewhere
        for one in extras[name]
        if not one.startswith("centroids[")
    }
    assert set(group["extras"]) == asked


def test_the_recipe_for_conda_asks_for_what_the_package_asks_for() -> None:
    recipe = workflow(ROOT / "release/conda/recipe.yaml")
    run = {entry.replace(" ", "") for entry in recipe["requirements"]["run"]}
    python = f"python{PROJECT['project']['requires-python']}"
    assert run == {python, *(each.replace(" ", "") for each in PROJECT["project"]["dependencies"])}
    places = [ROOT / name for name in recipe["about"]["license_file"]]
    assert all(place.exists() for place in places)


def test_the_recipe_for_conda_is_one_for_conda() -> None:
    rattler: Any = pytest.importorskip("rattler_build")
    recipe = rattler.Stage0Recipe.from_file(str(ROOT / "release/conda/recipe.yaml"))
    compilers = {"cxx_compiler": ["gxx"], "c_stdlib": ["sysroot"], "c_stdlib_version": ["2.17"]}
    (rendered,) = recipe.render(rattler.VariantConfig(compilers))
    assert rendered.recipe.package.name == "centroids"


def test_security_says_how_to_report_and_what_counts() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for said in ("Report a weakness privately", "an answer\nwithin", "newest version", "counts"):
        assert said in text
    assert not re.search(r"example\.(com|org)|TODO|TBD", text)


def test_the_citation_has_what_is_required() -> None:
    citation = workflow(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0" and citation["license"] == "Apache-2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert all("name" in author for author in citation["authors"])
