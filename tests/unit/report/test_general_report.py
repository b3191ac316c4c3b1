"""The report of any trainer: from the ledger alone, whatever it holds."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tags import Tags
from workload.report import closing_line, write_report
from workload.report.document import document
from workload.report.page import page as write_page
from workload.report.record import read_committed
from workload.report.text import text_report as write_text

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 11, 22, 18, 0, 0, tzinfo=dt.UTC)
FIRST = dt.date(2024, 1, 1)
HOSTILE = "datasets/training/<script>alert('x')\" onload=\"x\n$(reboot)\u202e.csv"


def ledger(days: int) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for number in range(days):
        name = str(FIRST + dt.timedelta(number))
        records.append(
            {
                "dataset": f"datasets/training/{name}.csv",
                "date": name,
                "rows": 24,
                "base": f"{number - 1:064x}" if number else None,
                "checkpoint": f"{number:064x}",
                "checkpoint_file": f"model_cpt_{name}.pkl",
                "trainer": "energy-load",
                "headline": ["mean_absolute_error"],
                "metrics": {
                    "training": {"mean_load": 812.25},
                    "next_day": {
                        "bias": -0.5,
                        "mean_absolute_error": 20.0 + number,
                        "settled": True,
                        "kind": "linear",
                    }
                    if number
                    else None,
                    "testing": None,
                    "testing_note": "there is no testing dataset",
                },
                "attempts": number % 3,
                "crashes": number % 5,
                "seconds": {"prepare": 0.01, "wait": 5.0, "train": 0.02, "write": 0.01},
            }
        )
    return records


def page(records: list[dict[str, Any]], dead: list[dict[str, Any]] | None = None) -> str:
    return write_page([read_committed(record) for record in records], dead or [], generated=NOW)


def text_report(records: list[dict[str, Any]], dead: list[dict[str, Any]] | None = None) -> str:
    return write_text([read_committed(record) for record in records], dead or [], generated=NOW)


@pytest.mark.parametrize("days", [0, 1, 2, 40])
def test_a_page_is_well_formed_and_complete_for_any_number_of_days(days: int) -> None:
    html = page(ledger(days))
    tags = Tags(html)
    assert len(re.findall(r"<tr><th>\d{4}-\d\d-\d\d\.csv</th>", html)) == days
    plots = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(plots) == {0: 0, 1: 1, 2: 4, 40: 4}[days]
    for svg in plots:
        ET.fromstring(svg)  # noqa: S314 - our own text
    assert tags.text.count("energy-load") == (days > 0)
    assert not re.search(r"https?:|//|@import|url\((?!#)", html)


def test_a_page_lets_a_browser_use_its_own_style_sheet_and_nothing_else() -> None:
    """The policy comes before all that it is about, and names the style sheet by its hash."""
    html = page(ledger(5))
    [policy] = [
        attributes["content"]
        for tag, attributes in Tags(html).seen
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy
    [(before, style)] = re.findall(r"(?s)^(.*?)<style>(.*?)</style>", html)
    assert "Content-Security-Policy" in before
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        f"style-src-elem 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert html.count("<style") == 1


def test_metrics_of_the_headline_come_first_and_what_is_no_number_is_none() -> None:
    tags = Tags(page(ledger(5)))
    headings = [kind for kind in ("mean absolute error", "bias") if kind in tags.text]
    assert headings == ["mean absolute error", "bias"]
    assert tags.text.index("mean absolute error") < tags.text.index("bias")
    text = text_report(ledger(5))
    assert "  mean_absolute_error, mean of 4 days: 22.5\n  bias, mean of 4 days: -0.5\n" in text
    for name in ("settled", "linear"):
        assert name not in text
        assert name not in tags.text


def test_the_closing_line_has_the_headline_of_the_last_test() -> None:
    first, second = ledger(2)
    assert closing_line(first).startswith("Not tested")
    assert closing_line(second) == "Tested one day ahead: mean absolute error 21"
    second["metrics"]["testing"] = {"mean_absolute_error": None}
    assert closing_line(second) == "Tested on the testing day: mean absolute error n/a"


def test_a_missing_test_says_why_it_is_missing() -> None:
    text = text_report(ledger(1))
    assert "Testing data: n/a (there is no testing dataset)\n" in text
    assert ": n/a (the first dataset has no earlier checkpoint" in text


def test_failures_are_counted_and_drawn_by_kind() -> None:
    text = Tags(page(ledger(5))).text
    assert "lease expired, worker lost: 10" in text
    assert "attempt failed: 4" in text


def test_a_broken_chain_is_said_to_be_broken() -> None:
    records = ledger(5)
    assert "5 checkpoints, each trained from the one before" in page(records)
    records[3]["base"] = "f" * 64
    assert "1 of them not trained from the one before" in page(records)


def test_a_report_without_a_dataset_says_so() -> None:
    dead = [{"dataset": "x", "kind": "refused", "reason": "why"}]
    assert "No dataset has been learned yet" in page([], dead)
    assert "1 dataset left out:" in page([], dead)
    assert "refused: x: why" in text_report([], dead)


def test_foreign_text_is_shown_and_never_interpreted() -> None:
    record = ledger(2)[1] | dict.fromkeys(
        ("dataset", "checkpoint", "checkpoint_file", "base", "trainer"), HOSTILE
    )
    record["headline"] = [HOSTILE]
    record["metrics"] |= {"next_day": {HOSTILE: 1.5}, "testing_note": HOSTILE}
    dead = [{"dataset": HOSTILE, "reason": HOSTILE, "kind": HOSTILE}]
    tags = Tags(page([record], dead))
    assert "script" not in {tag for tag, _ in tags.seen}
    assert not any("onload" in attributes for _, attributes in tags.seen)
    assert tags.text.count("<script>alert(") >= 10
    text = text_report([record], dead)
    for output in (tags.text, text, closing_line(record)):
        assert "\u202e" not in output
        assert not re.search(r"^\$", output, flags=re.MULTILINE)


@settings(deadline=None, max_examples=40)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.just(10**400)
        | st.floats()
        | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(sorted({*ledger(1)[0], *ledger(1)[0]["metrics"], "loss", "fold"})),
                inner,
                max_size=12,
            )
        ),
        max_leaves=25,
    ).filter(lambda value: isinstance(value, dict))
)
def test_a_strange_record_never_stops_the_report(record: dict[str, Any]) -> None:
    assert text_report([record], [record])
    assert "</html>" in page([record], [record])
    assert "\n" not in closing_line(record)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attempts", 10**400),
        ("rows", 10**400),
        ("seconds", {"train": 5e-324}),
        ("seconds", {"train": 1e-300}),
        ("seconds", {"train": 10**400}),
        ("metrics", {"next_day": {"loss": 10**400}}),
        ("metrics", {"next_day": {"loss": float("inf")}, "testing": {"loss": float("nan")}}),
        ("metrics", {"next_day": {"loss": -1e308}}),
        ("metrics", {"next_day": {"loss": 5e-324}}),
        ("headline", 3),
        ("date", 20240101),
    ],
)
def test_a_value_out_of_range_never_stops_the_report(field: str, value: object) -> None:
    records = ledger(9)
    for record in records:
        record[field] = value
    assert text_report(records)
    Tags(page(records))
    assert closing_line(records[-1])


def test_rows_per_second_leaves_out_the_wait_for_the_turn() -> None:
    assert read_committed(ledger(1)[0]).rows_per_second == pytest.approx(24 / 0.04)


def test_a_part_that_a_template_needs_is_never_left_blank() -> None:
    with pytest.raises(jinja2.UndefinedError, match="kicker"):
        document("page.html.jinja", [], [], generated=NOW)


def test_the_same_ledger_gives_the_same_bytes(tmp_path: Path) -> None:
    paths = write_report(ledger(9), [], tmp_path, generated=NOW)
    before = [path.read_bytes() for path in paths]
    assert write_report(ledger(9), [], tmp_path, generated=NOW) == paths
    assert [path.read_bytes() for path in paths] == before


def test_importing_the_report_loads_nothing_heavy_and_nothing_of_frauds() -> None:
    code = (
        "import sys, workload.report as report, workload.report.page as page;"
        "sys.exit(any(name.startswith('workload.fraud') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    code = "import sys, workload.report; sys.exit(bool({'matplotlib', 'jinja2'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
