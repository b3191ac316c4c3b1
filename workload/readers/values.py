"""Single values in error lines, and the first row where something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def first_wrong(wrong: NDArray[np.bool_]) -> int | None:
    """Return the first row where something is wrong; None if nothing is."""
    row = int(wrong.argmax())
    return row if wrong[row] else None


def shown(value: object) -> str:
    """Return a value as part of a line, whatever it is and however long."""
    if isinstance(value, (list, tuple, dict)):
        return "(...)"
    if isinstance(value, (str, bytes)):
        return repr(value[:40])
    if isinstance(value, int) and value.bit_length() > 128:  # noqa: PLR2004 - 39 digits
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, np.datetime64):
        return str(value)
    return repr(value.item() if isinstance(value, np.generic) else value)[:80]
