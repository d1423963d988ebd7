"""The package's modules import each other one way, in the order of the design."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import requests_scitokens

ROOT = Path(requests_scitokens.__file__).parent

#: A module may import what stands before it.
ORDER = [
    "_environment", "_shown", "_messages", "_state", "_token", "_origin", "_hosts",
    "_policy", "_challenge", "_token_file", "_discovery", "_request", "_resend", "_choice",
    "_said", "_exchange", "_exchanges", "utils", "auth", "sessions", "api", "patch",
    "_startup", "_diagnosis", "__main__", "testing", "requests",
]  # fmt: skip

#: What can be read without Requests: they are values and rules.
LOWER = ORDER[: ORDER.index("_request")]


def at_module_level(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Walk a module's imports; those inside functions happen later, and are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from at_module_level(node)


def all_modules() -> dict[str, Path]:
    """Return the package's modules but `__init__`, which loads by name."""
    found = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in ROOT.rglob("*.py")
    }
    del found["__init__"]
    return {name.removesuffix(".__init__"): path for name, path in found.items()}


MODULES = all_modules()


def imported(name: str) -> Iterator[str]:
    """Name the modules of the package that this one imports."""
    path = MODULES[name]
    here = ["requests_scitokens", *name.split(".")]
    if path.name != "__init__.py":
        here.pop()
    for node in at_module_level(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        else:
            base = here[: len(here) - node.level + 1] if node.level else []
            base = [*base, *(node.module or "").split(".")] if node.module else base
            names = [[*base, alias.name] for alias in node.names]
        for parts in names:
            if parts[0] != "requests_scitokens":
                continue
            within = (".".join(parts[1:end]) for end in range(len(parts), 1, -1))
            # What is none is a name of `__init__`, which loads it on first use.
            yield from [one for one in within if one in MODULES][:1]


GRAPH = {name: {one for one in imported(name) if one != name} for name in MODULES}


def reached_from(name: str) -> set[str]:
    seen: set[str] = set()
    todo = [name]
    while todo:
        new = GRAPH[todo.pop()] - seen
        seen |= new
        todo += new
    return seen


def test_the_imports_that_this_reads_are_there():
    assert {"_state", "_token"} <= GRAPH["_token_file"]
    assert {"_hosts", "_origin", "_token"} <= GRAPH["_policy"]
    assert "_state" in GRAPH["testing.fixtures"]
    tree = ast.parse("if TYPE_CHECKING:\n    import a\ndef f():\n    import b")
    assert [node.names[0].name for node in at_module_level(tree)] == ["a"]


def test_no_modules_import_each_other_in_a_circle():
    assert [name for name in sorted(GRAPH) if name in reached_from(name)] == []


def test_every_module_has_its_place_in_the_order():
    assert sorted(ORDER) == sorted({name.partition(".")[0] for name in MODULES})


@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_module_imports_only_what_stands_before_it(name):
    top = name.partition(".")[0]
    others = {one.partition(".")[0] for one in GRAPH[name]} - {top}
    assert others - set(ORDER[: ORDER.index(top)]) == set()


def test_modules_that_users_import_have_no_underscore():
    """A module without an underscore is one that 0.2.1 had, or that users need."""
    public = [name for name in ORDER if not name.startswith("_")]
    assert public == ["utils", "auth", "sessions", "api", "patch", "testing", "requests"]


@pytest.mark.parametrize("name", LOWER)
def test_the_lower_modules_do_not_import_requests(name):
    for node in at_module_level(ast.parse(MODULES[name].read_text())):
        names = (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
        assert not any(one.partition(".")[0] == "requests" for one in names)


def test_requests_is_not_there_after_they_are_imported():
    """Nor does anything that they import bring it along."""
    imports = ", ".join(f"requests_scitokens.{name}" for name in LOWER)
    code = f"import sys, {imports}; print('requests' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
