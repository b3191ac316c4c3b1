"""What every plot is drawn on."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from workload.report.canvas import date_ticks


@given(st.dates(dt.date(1990, 1, 1), dt.date(2090, 1, 1)), st.integers(0, 9000))
def test_date_ticks_are_few_ordered_and_within_the_days_shown(first: dt.date, span: int) -> None:
    last = first + dt.timedelta(span)
    ticks = date_ticks(first, last)
    days = [day for day, _ in ticks]
    assert 1 <= len(days) <= 8
    assert days == sorted(set(days))
    assert first <= days[0]
    assert days[-1] <= last
    years = [int(label.split("\n")[1]) if "\n" in label else None for _, label in ticks]
    assert years[0] == days[0].year
    assert [year for year in years if year] == sorted({day.year for day in days})
