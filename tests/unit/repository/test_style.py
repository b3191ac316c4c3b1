"""What the linters have no rule for: one markup in docstrings, and modules that stay small."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
PYTHON = ("benchmarks", "examples", "infra", "policy", "proofs", "scripts", "tests", "workload")
LINES = 350


def _modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def _docstrings(path: Path) -> list[tuple[int, str]]:
    """Return line and text of each string that stands alone: attributes have docstrings, too."""
    return [
        (node.lineno, node.value.value)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]


def test_names_in_docstrings_stand_between_single_backticks() -> None:
    doubled = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in [ROOT / "__main__.py", *_modules(*PYTHON)]
        for line, text in _docstrings(path)
        if "``" in text
    ]
    assert doubled == []


def test_no_module_of_the_workload_and_the_infrastructure_is_long() -> None:
    modules = _modules("workload", "infra")
    long = {
        str(path.relative_to(ROOT)): lines
        for path in modules
        if (lines := len(path.read_text("utf-8").splitlines())) > LINES
    }
    assert modules
    assert long == {}
