"""What a release is made of: the version, workflows, licences, requirements and metadata."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

import centroids

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def release_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "release"))  # its scripts import each other


def script(name: str) -> Any:
    return importlib.import_module(name)


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
    (tmp_path / "docs").mkdir()
    project, readme = tmp_path / "pyproject.toml", tmp_path / "README.md"
    project.write_text("[project]\n")
    readme.write_text("# centroids\n")
    init, log = tmp_path / "src/centroids/__init__.py", tmp_path / "CHANGELOG.md"
    init.write_text('\n__version__ = "1.2.2"\n')
    log.write_text("# Changelog\n\n## 1.2.3, unreleased\n")
    (first, second) = release.faults(tmp_path, "1.2.3")
    assert "__init__.py" in first and "CHANGELOG.md" in second
    assert "1.2.3rc1, got '1.2'" in release.faults(tmp_path, "1.2")[0]
    init.write_text('\n__version__ = "1.2.3"\n')
    log.write_text("# Changelog\n\n## 1.2.3, 2026-11-28\n")
    assert release.faults(tmp_path, "1.2.3") == []
    address = "https://example.org/us/centroids"
    (first,) = release.faults(tmp_path, "1.2.3", address)
    assert f'[project.urls]: Source = "{address}"' in first
    project.write_text(f'[project.urls]\nSource = "{address}"\n')
    assert release.faults(tmp_path, "1.2.3", address) == []
    readme.write_text("# centroids\npip install centroids  # once 1.2.3 is on PyPI\n")
    (tmp_path / "docs/index.md").write_text("Version 1.2.3 is not published yet.\n")
    (first, second) = release.faults(tmp_path, "1.2.3", address)
    assert first.startswith("README.md, line 2 says") and "index.md, line 1 says" in second


def test_links_of_the_readme_work_on_an_index_of_packages(tmp_path: Path) -> None:
    for name in ("README.md", "src/centroids/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    address = "https://example.org/us/centroids"
    (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nSource = "{address}/"\n[project]\n')
    script("long_description").write(tmp_path)
    targets = re.findall(r"\]\(([^)]+)\)", (tmp_path / "README.md").read_text(encoding="utf-8"))
    inside = [target for target in targets if target.startswith(address)]
    assert len(inside) > 20
    for target in inside:
        path = target.removeprefix(f"{address}/blob/v{centroids.__version__}/").partition("#")[0]
        assert (ROOT / path).is_file(), target
    assert all(target.startswith("https://") for target in targets)


def test_without_an_address_of_the_sources_the_words_of_links_stay() -> None:
    text = "[Inputs](docs/inputs.md) and [Python](https://www.python.org)"
    described = script("long_description").long_description(text, "", "1.2.3")
    assert described == "Inputs and [Python](https://www.python.org)"


@pytest.mark.skipif(not shutil.which("make") or not shutil.which("git"), reason="needs make, git")
@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://example.org/us/centroids", "https://example.org/us/centroids"),
        ("https://me:secret@example.org/us/centroids.git", "https://example.org/us/centroids"),
        ("git@example.org:us/centroids.git", "https://example.org/us/centroids"),
        ("ssh://git@example.org/us/centroids.git", "https://example.org/us/centroids"),
        ("/srv/centroids.git", ""),
        ("", ""),
    ],
)
def test_pages_link_to_where_the_clone_comes_from(
    tmp_path: Path, remote: str, address: str
) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    if remote:
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", remote], check=True)
    show = "--eval=show: ; @echo $(CENTROIDS_REPOSITORY) $(CENTROIDS_EDIT)"
    command = ["make", "--silent", "--file", ROOT / "Makefile", show, "show"]
    environment = {name: os.environ[name] for name in os.environ if "CENTROIDS" not in name}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ([address, f"{address}/edit/main/docs/"] if address else [])


def test_interpreters_are_found_on_the_path_and_where_pyenv_and_uv_keep_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = script("wheels")
    include = tmp_path / "include"
    include.mkdir()
    (include / "Python.h").touch()

    def put(folder: str, says: object, ends: int, name: str = "python3.12") -> str:
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {says}\nexit {ends}\n")
        path.chmod(0o755)
        return str(path)

    shim = put("shims", "not set to it", 127)
    bare = put("usr/bin", f"{tmp_path}/none 0", 0)  # without headers
    # Free-threaded Python is called python3.12, too, and is none of those that are asked for.
    other = put("threads/bin", f"{include} 1", 0)
    threaded = put("threads/bin", f"{include} 1", 0, "python3.12t")
    kept = put("pyenv/versions/3.12.1/bin", f"{include} 0", 0)
    of_uv = put("uv/cpython-3.12/bin", f"{include} 0", 0)
    path = os.pathsep.join(str(Path(path).parent) for path in (shim, bare, other))
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    assert wheels.interpreters("3.12") == [shim, bare, other, kept, of_uv]
    assert wheels.find_python("3.12") == kept
    assert wheels.find_python("3.12t") == threaded
    assert wheels.find_python("3.14") is None


def test_the_headers_of_debians_python_are_found_for_each_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = script("wheels")
    real = tmp_path / "include/x86_64-linux-gnu/python3.11/pyconfig.h"
    real.parent.mkdir(parents=True)
    real.touch()
    monkeypatch.setattr(wheels, "HEADERS", tmp_path / "headers")

    def copied(multiarch: str) -> set[str]:
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\necho {tmp_path}/include/python3.11 {multiarch}\n")
        python.chmod(0o755)
        wheels.copy_multiarch_headers(tmp_path)
        return {str(path.relative_to(tmp_path)) for path in tmp_path.glob("headers/*/*/*")}

    assert copied("") == set()
    assert copied("x86_64-linux-gnu") == {
        f"headers/{each}-linux-gnu/python3.11/pyconfig.h" for each in ("x86_64", "aarch64")
    }


def test_what_is_the_same_in_two_sdists_stays_as_it_is(tmp_path: Path) -> None:
    def sdist(version: str, **files: str) -> Path:
        folder = tmp_path / f"centroids-{version}"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        path = tmp_path / f"{version}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, folder.name)
        return path

    unpack, source = script("wheels").unpack, tmp_path / "source"
    unpack(sdist("1", same="a", changed="b", removed="c"), source)
    os.utime(source / "same", (1, 1))
    os.utime(source / "changed", (1, 1))
    unpack(sdist("2", same="a", changed="d", added="e"), source)
    found = {path.name: path.read_text() for path in source.iterdir()}
    assert found == {"same": "a", "changed": "d", "added": "e"}
    assert (source / "same").stat().st_mtime == 1 != (source / "changed").stat().st_mtime


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("target", ["release", "docs-version"])
def test_a_missing_version_is_said_before_anything_is_set_up(target: str, tmp_path: Path) -> None:
    command = ["make", "--silent", "--file", ROOT / "Makefile", target]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and not (tmp_path / ".venv").exists()
    assert f"say which version: make {target} VERSION=1.2.3" in done.stderr


def test_a_wheel_is_for_the_versions_that_its_name_says() -> None:
    versions_for = script("try_wheels").versions_for
    for tags, versions in [
        ("cp311-cp311", ("3.11",)),
        ("cp312-abi3", ("3.12", "3.13", "3.14", "3.15")),
        ("cp313-cp313t", ("3.13t",)),
    ]:
        assert versions_for(Path(f"centroids-0.1.0-{tags}-manylinux_2_17_x86_64.whl")) == versions


def test_an_audit_without_an_answer_is_no_good_news() -> None:
    audit = script("audit")
    sound = {"name": "a", "version": "1", "vulns": []}
    weak = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1"}]}
    skipped = {"name": "c", "skip_reason": "not found"}
    assert audit.verdict([sound]) == (0, "1 packages without a known weakness")
    code, text = audit.verdict([sound, skipped])
    assert code == audit.UNKNOWN and "1 of 2 packages were not audited" in text and "c" in text
    assert audit.verdict([sound, skipped, weak]) == (audit.KNOWN, "known weaknesses:\nb 2: PYSEC-1")


@pytest.mark.parametrize(
    "command", ["jactionlint", "zizmor --offline --quiet .github", "hadolint Dockerfile"]
)
def test_workflows_and_the_image_are_sound(command: str) -> None:
    name, *arguments = command.split()
    program = shutil.which(name, path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"$(BIN)/{command}" in (ROOT / "Makefile").read_text(encoding="utf-8")


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


def test_the_bill_of_materials_names_a_licence_that_is_there(tmp_path: Path) -> None:
    sbom = script("sbom")
    assert {path for *_, path in sbom.BUNDLED} == {
        f"licenses/{path.name}" for path in (ROOT / "licenses").iterdir()
    }
    bill = sbom.bill_of_materials()
    assert bill["metadata"]["component"]["version"] == centroids.__version__
    components = bill["components"]
    assert all(each["licenses"] for each in components)
    assert len({each["purl"] for each in components}) == len(components) >= 6
    # Only what is a package of PyPI has a version that a scanner may look up.
    (nanobind,) = [each for each in components if "version" in each]
    assert nanobind["purl"] == f"pkg:pypi/nanobind@{nanobind['version']}"
    assert json.loads(sbom.write(tmp_path).read_text()) == bill


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
    for said in ("a vulnerability privately", "answer within", "newest version", "It is a v"):
        assert said in text
    assert not re.search(r"example\.(com|org)|TODO|TBD", text)


def test_the_citation_has_what_is_required() -> None:
    citation = workflow(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0" and citation["license"] == "Apache-2.0"
    assert {"message", "title", "authors"} <= set(citation)
    assert all("name" in author for author in citation["authors"])
