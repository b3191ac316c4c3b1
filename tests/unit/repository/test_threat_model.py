"""The threat model names what is there: files that enforce a promise, tests that hold it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/threat-model.md"
THREATS = {
    heading: text
    for heading, _, text in (part.partition("\n") for part in PAGE.read_text().split("\n## ")[1:])
}
ROWS = [
    (threat, *cells)
    for threat, text in THREATS.items()
    for cells in re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", text, flags=re.MULTILINE)
    if cells[0] not in ("promise", "---")
]


def linked(cell: str) -> list[Path]:
    """Return the files and directories of the checkout that a cell links to."""
    targets = re.findall(r"\]\(\.\./([^)#]+)\)", cell)
    return [ROOT / target for target in targets]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1][:40])
def test_what_enforces_and_what_holds_a_promise_is_there(row: tuple[str, str, str, str]) -> None:
    _, _, enforced, held = row
    tests = linked(held)
    assert linked(enforced)
    assert tests
    for path in (*linked(enforced), *tests):
        assert path.exists(), path
    files = [file for path in tests for file in ([path] if path.is_file() else path.glob("*.py"))]
    content = "\n".join(file.read_text() for file in files)
    for name in re.findall(r"`(test_\w+)`", held):
        assert f"def {name}(" in content, name


def test_every_threat_has_promises_and_says_what_is_not_promised() -> None:
    assert len(THREATS) == 8
    for threat, text in THREATS.items():
        assert any(row[0] == threat for row in ROWS), threat
        assert "Not promised:" in text, threat
        assert f"](#{re.sub('[^a-z ]', '', threat.lower()).replace(' ', '-')})" in PAGE.read_text()
    assert "docs/threat-model.md" in (ROOT / "SECURITY.md").read_text()
