"""Kubernetes resource quantities as numbers."""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|[KMGT]i?|k)?")
_FACTORS: dict[str, Decimal] = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    **{unit: Decimal(10 ** (3 * power)) for power, unit in enumerate("KMGT", 1)},
    **{f"{unit}i": Decimal(2 ** (10 * power)) for power, unit in enumerate("KMGT", 1)},
}


def quantity(text: str) -> Decimal:
    """Return the number that a quantity stands for: cores of CPU, or bytes.

    The notation is that of the Kubernetes API (`250m`, `1.5`, `512Mi`, `1T`), without
    exponents and units above tera.

    Raises:
        ValueError: `text` is no such quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no Kubernetes quantity, such as 250m, 1, 512Mi or 2Gi")
    return Decimal(match[1]) * _FACTORS[match[2] or ""]


def gib(text: str) -> Decimal:
    """Return a quantity of memory or disk in GiB; raises ValueError as `quantity` does."""
    return quantity(text) / Decimal(2**30)
