"""The mutants of the queue's Lua scripts: each lacks one guard or one effect.

The scripts keep to a small part of Lua, one statement a line or more, which is all that is
understood here: `if`/`elseif` conditions, `A and B or C` choices, `NX` options, and
statements that are one call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CONDITION = re.compile(r"\b(?:else)?if (.+?) then\b")
_STATEMENT = re.compile(
    r"^(?: *|.* do )"
    r"((?:call|announce|put_back|unclaim|forget_tries|finish|dead_letter|crash|halt|unhalt)\()",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One script with one change.

    Args:
        script: file name.
        line: where the change is, from 1.
        change: what was done, in Lua's words.
        text: the whole script with the change.
    """

    script: str
    line: int
    change: str
    text: str

    @property
    def name(self) -> str:
        """Identifies it as long as the guard stands as it does, wherever it moves."""
        return f"{self.script}: {self.change}"


def mutants() -> list[Mutant]:
    """Return all of them, script by script, in the order of the lines."""
    folder = files("workload.queue") / "scripts"
    found: list[Mutant] = []
    for path in sorted(folder.iterdir(), key=lambda each: each.name):
        if path.name.endswith(".lua"):
            mine = list(_of_script(path.name, path.read_text("utf-8")))
            found += sorted(mine, key=lambda mutant: mutant.line)
    return found


def _of_script(script: str, text: str) -> Iterator[Mutant]:
    code = re.sub(r"--[^\n]*", lambda comment: " " * len(comment[0]), text)

    def mutant(start: int, end: int, by: str, change: str) -> Mutant:
        line = text.count("\n", 0, start) + 1
        return Mutant(script, line, change, text[:start] + by + text[end:])

    for search in (_conditions, _choices, _options, _statements):
        yield from search(code, mutant)


if TYPE_CHECKING:
    _Make = Callable[[int, int, str, str], Mutant]


def _conditions(code: str, make: _Make) -> Iterator[Mutant]:
    """Yield each condition never met, always met, and without each of its parts."""
    for match in _CONDITION.finditer(code):
        condition, span = match[1], match.span(1)
        for value in ("false", "true"):
            yield make(*span, value, f"`if {condition}` is {value}")
        negated = re.fullmatch(r"not \((.+)\)", condition)
        if negated:
            span = span[0] + len("not ("), span[1] - 1
        parts = _parts(negated[1] if negated else condition)
        for index, part in enumerate(parts if len(parts) > 1 else []):
            rest = "".join(parts[:index] + parts[index + 1 :])
            rest = re.sub(r"^ *(and|or) ", "", rest)
            yield make(*span, rest, f"`if {condition}` without `{part.strip()}`")


def _choices(code: str, make: _Make) -> Iterator[Mutant]:
    """Yield each `CONDITION and A or B` always A, always B."""
    for line in re.finditer(r"^.*$", code, re.MULTILINE):
        match = re.search(
            r"((?:call|#?\w)\S*.*?) and ('?[\w-]+'?) or ('?[\w-]+'?)(?=[, }]|$)", line[0]
        )
        if match is None or (" == " not in match[1] and " > " not in match[1]):
            continue
        start = line.start() + _beginning(line[0], match.start())
        for value in (match[2], match[3]):
            yield make(start, line.start() + match.end(), value, f"`{match[0]}` is {value}")


def _beginning(line: str, start: int) -> int:
    """Return where the expression around `start` begins: after `=`, `return` or a comma."""
    before = [match.end() for match in re.finditer(r"(?:(?<![=~<>])= |return )", line)]
    return max([start, *(end for end in before if end <= line.index(" and "))])


def _options(code: str, make: _Make) -> Iterator[Mutant]:
    for match in re.finditer(r"'NX', ", code):
        line = code[code.rfind("\n", 0, match.start()) + 1 : code.find("\n", match.start())]
        yield make(*match.span(), "", f"`{line.strip()}` without NX")


def _statements(code: str, make: _Make) -> Iterator[Mutant]:
    """Yield each statement that is one call, left out."""
    for match in _STATEMENT.finditer(code):
        if code[: match.start(1)].rstrip().endswith(","):
            continue  # the next line of a longer expression
        start, depth = match.start(1), 0
        for end in range(match.end(1) - 1, len(code)):
            depth += {"(": 1, ")": -1}.get(code[end], 0)
            if depth == 0:
                break
        call = " ".join(code[start : end + 1].split())
        yield make(start, end + 1, "do end", f"without `{call}`")


def _parts(condition: str) -> list[str]:
    """Split `a and b` into `a` and ` and b`; what stands in brackets is one part."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(condition):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0 and re.match(r" (and|or) ", condition[index:]):
            parts.append(condition[start:index])
            start = index
    return [*parts, condition[start:]]
