"""The table that says where each action of the TLA+ model is in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/proofs.md").read_text("utf-8")
MODEL = (ROOT / "proofs/Queue.tla").read_text("utf-8")
ROWS = re.findall(r"^\| (`[^|]+?) \| \[(.+?):(\d+)\]\((.+?)\) \| `(.+)` \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("file", "line", "link", "code"), [row[1:] for row in ROWS])
def test_line_of_an_action_is_where_the_page_says(
    file: str, line: str, link: str, code: str
) -> None:
    lines = (ROOT / file).read_text("utf-8").splitlines()
    assert code in lines[int(line) - 1], f"docs/proofs.md: {file}:{line} is not {code}"
    assert link == f"../{file}#L{line}"


def test_every_action_of_the_model_is_on_the_page() -> None:
    relation = MODEL.partition("Work(w) ==")[2].partition("Spec ==")[0]
    actions = set(re.findall(r"\b([A-Z][A-Za-z]+)(?=\(|\b)", relation))
    actions -= {"Work", "Next", "Items", "Workers", "E"}
    mapped = {name for row in ROWS for name in re.findall(r"`(\w+)`", row[0])}
    assert len(actions) > 15
    assert actions <= mapped, actions - mapped
