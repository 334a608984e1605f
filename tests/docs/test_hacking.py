"""The map leads somewhere: what HACKING.md names exists, and files and functions are short."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(
    r"`((?:src|native|tests|benchmarks|docs|cmake)/[\w./-]*)`", (ROOT / "HACKING.md").read_text()
)


@pytest.mark.parametrize("name", sorted(set(NAMED)))
def test_what_the_map_names_exists(name: str) -> None:
    assert (ROOT / name).exists()


def test_what_the_map_names_without_a_folder_exists() -> None:
    files = {path.name for path in sources()}
    named = re.findall(r"`(\w+\.(?:py|h|cpp))`", (ROOT / "HACKING.md").read_text())
    assert named and set(named) <= files


def sources() -> list[Path]:
    folders = ("src", "native", "benchmarks", "tests")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.*")]
    return [path for path in found if path.suffix in {".py", ".cpp", ".h"}]


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Those of the code: what a public docstring explains at length makes no function long."""
    assert function.end_lineno is not None
    begin, first = function.lineno, function.body[0]
    if ast.get_docstring(function) is not None:
        assert first.end_lineno is not None
        begin += first.end_lineno - first.lineno + 1
    return function.end_lineno - begin + 1


def test_a_long_file_says_why() -> None:
    long = [path for path in sources() if path.read_text().count("\n") > 400]
    without = [path for path in long if "Over 400 lines: " not in path.read_text()[:2000]]
    assert not without


def test_no_function_is_long() -> None:
    functions = [
        (path, node.name, lines_of(node))
        for path in sources()
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 1000
    assert not [each for each in functions if each[-1] > 60]


def native_functions(text: str) -> list[tuple[str, int]]:
    """The head and the lines of each function, which is a block behind a closed parenthesis.

    What is in namespaces, classes and templates is looked into; what is in functions counts as
    theirs. Comments and strings may hold any brace.
    """
    text = re.sub(
        r"^[ \t]*#(?:\\\n|[^\n])*|//[^\n]*|/\*.*?\*/"
        r"|R\"\(.*?\)\"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])'",
        lambda match: "\n" * match[0].count("\n"),
        text,
        flags=re.DOTALL | re.MULTILINE,
    )
    found, outer, inside = [], [], None
    for match in re.finditer(r"[{}]", text):
        if match[0] == "{":
            head = re.split(r"[;{}]", text[: match.start()])[-1].strip()
            outer.append(head)
            is_function = ")" in head and not re.search(
                r"\b(namespace|class|struct|enum)\b[^()]*$", head
            )
            if inside is None and is_function:
                inside = (len(outer), text.count("\n", 0, match.start()) - head.count("\n"))
        else:
            if inside is not None and inside[0] == len(outer):
                lines = text.count("\n", 0, match.start()) - inside[1] + 1
                found.append((" ".join(outer[-1].split()), lines))
                inside = None
            outer.pop()
    assert not outer
    return found


def test_no_native_function_is_long() -> None:
    functions = [
        (path, *each)
        for path in sources()
        if path.suffix in {".cpp", ".h"}
        for each in native_functions(path.read_text())
    ]
    assert len(functions) > 500
    assert not [each for each in functions if each[-1] > 60]


def test_the_lines_of_native_functions_are_counted() -> None:
    text = """#define OPEN {
namespace a {
struct B final {
  int c() const { return 1; }  // {
  std::vector<int> d = {1, 2};
};
template <class T>
auto f(T x,
       int y = g("}")) noexcept -> decltype(x) {
  if (x) {
    [&](int z) { return '{' + z; }(2);
  }
}
}  // namespace a
"""
    lines = [count for _, count in native_functions(text)]
    assert lines == [1, 7]
