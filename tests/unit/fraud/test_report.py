from __future__ import annotations

import datetime as dt
import math
import re
import subprocess
import sys
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tags import Tags
from workload.fraud.metrics import BINS, EDGES
from workload.fraud.report import text_entry, write_report
from workload.fraud.report.drift import drift, stability_index
from workload.fraud.report.page import page as write_page
from workload.fraud.report.pooling import pool_next_day, trailing
from workload.fraud.report.scores import read_step
from workload.fraud.report.text import text_report as write_text

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime(2026, 11, 22, 18, 0, 0, tzinfo=dt.UTC)
FIRST = dt.date(2018, 4, 1)
HOSTILE = "datasets/training/<script>alert('x')\" onload=\"x\n$(reboot)\u202e.pkl"


def scores(frauds: int = 80, rows: int = 9600) -> dict[str, Any]:
    """Return a test in which half of the frauds have the highest scores and half the lowest."""
    half = frauds // 2
    return {
        "rows": rows,
        "frauds": frauds,
        "alarms": half,
        "true_positives": half,
        "correct": rows - (frauds - half),
        "threshold": 0.5,
        "accuracy": (rows - (frauds - half)) / rows,
        "majority_accuracy": (rows - frauds) / rows,
        "average_precision": 0.5 if frauds else None,
        "roc_auc": 0.9 if frauds else None,
        "fraud_cards": frauds,
        "cards_found": min(half, 100),
        "card_precision_100": min(half, 100) / 100 if frauds else None,
        "recall": half / frauds if frauds else None,
        "precision": 1.0 if half else None,
        "brier": 0.004,
        "card_threshold_100": 0.25,
        "scenarios": {"1": {"frauds": half, "caught": half}, "2": {"frauds": half, "caught": 3}},
        "histogram": {
            "genuine": [rows - frauds, *[0] * (BINS - 1)],
            "fraud": [frauds - half, *[0] * (BINS - 2), half],
        },
    }


def ledger(days: int, frauds: int = 80) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for number in range(days):
        name = str(FIRST + dt.timedelta(number))
        records.append(
            {
                "order": number + 1,
                "dataset": f"datasets/training/{name}.pkl",
                "date": name,
                "sha256": "ab" * 32,
                "rows": 9600,
                "frauds": frauds,
                "base": f"{number - 1:064x}" if number else None,
                "checkpoint": f"{number:064x}",
                "checkpoint_file": f"model_cpt_{name}.pkl",
                "ids": {"cards": 4000, "new_cards": 40, "terminals": 6000, "new_terminals": 60},
                "options": {"label": "TX_FRAUD_SCENARIO"},
                "label_lag_days": 8,
                "metrics": {
                    "training": scores(frauds),
                    "next_day": scores(frauds) if number else None,
                    "testing": scores(frauds),
                    "testing_note": None,
                },
                "attempts": number % 3,
                "crashes": number % 5,
                "worker": "w",
                "seconds": {"prepare": 0.01, "wait": 5.0, "fold": 0.02, "write": 0.01},
                "started": 1522540831.2,
                "committed": 1522540832.3,
            }
        )
    return records


def page(records: list[dict[str, Any]], dead: list[dict[str, Any]] | None = None) -> str:
    return write_page([read_step(record) for record in records], dead or [], generated=NOW)


def text_report(records: list[dict[str, Any]], dead: list[dict[str, Any]] | None = None) -> str:
    return write_text([read_step(record) for record in records], dead or [], generated=NOW)


def test_an_entry_begins_with_the_lines_of_the_tutorial() -> None:
    record = ledger(2)[1]
    record["metrics"]["training"]["accuracy"] = 0.996
    record["metrics"]["testing"]["accuracy"] = 0.995833333333
    assert text_entry(record, generated=NOW).split("\n")[:7] == [
        "*****************************************************",
        "Report generated on: 2026-11-22 18:00:00",
        "Training dataset: 2018-04-02.pkl",
        "Model checkpoint: model_cpt_2018-04-02.pkl",
        "---",
        "Accuracy on training data: 0.996",
        "Accuracy on testing data: 0.995833",
    ]


def test_accuracy_stands_next_to_the_accuracy_of_always_answering_genuine() -> None:
    lines = text_entry(ledger(2)[1], generated=NOW).splitlines()
    for title in ("Testing data:", "Next day"):
        start = next(i for i, line in enumerate(lines) if line.startswith(title))
        assert lines[start + 1] == "  Accuracy: 0.995833"
        assert lines[start + 2] == "  Accuracy of always answering genuine: 0.991667"


@pytest.mark.parametrize(("frauds", "claims"), [(49, False), (50, True)])
def test_no_ranking_claim_is_made_with_fewer_than_50_frauds(frauds: int, claims: bool) -> None:
    records = ledger(2, frauds)
    text, html = text_report(records), page(records)
    warned = f"No ranking claim is possible with {frauds} frauds (fewer than 50)" in text
    assert warned is not claims
    assert ("too few frauds to judge the ranking" in html) is not claims
    assert ("by chance" in html) is claims


def test_a_missing_value_says_why_it_is_missing() -> None:
    first, second = ledger(2)
    first["metrics"] |= {"testing": None, "testing_note": "no test dataset on the share"}
    entry = text_entry(first, generated=NOW)
    assert "Accuracy on testing data: n/a (no test dataset on the share)\n" in entry
    assert ": n/a (the first dataset has no earlier checkpoint" in entry
    second["metrics"]["next_day"] = None
    assert ": n/a (not measured)\n" in text_entry(second, generated=NOW)
    assert "no test dataset on the share" in page([first])


def test_the_summary_states_lag_optimism_and_every_dead_letter() -> None:
    dead = [{"dataset": "a.pkl", "reason": "too old", "kind": "refused"}]
    summary = text_report(ledger(4), dead).split("*" * 53)[-1]
    assert "Label lag of features: 8 days\n" in summary
    assert "Tested on the next day, optimistic" in summary
    assert "Next-day tests: 3 (rows: 28800, frauds: 240)\n" in summary
    assert summary.endswith("Dead letters: 1\n  refused: a.pkl: too old\n")
    assert text_report([]).endswith("Dead letters: none\n")


def test_pooling_adds_up_the_next_day_tests_only() -> None:
    pooled = pool_next_day([read_step(record) for record in ledger(4)])
    assert (pooled.days, pooled.rows, pooled.frauds) == (3, 28800, 240)
    assert pooled.base_rate == pytest.approx(1 / 120)
    assert (pooled.recall, pooled.precision) == (0.5, 1.0)
    assert pooled.accuracy == pytest.approx(1 - 1 / 240)
    assert pooled.majority_accuracy == pytest.approx(1 - 1 / 120)
    assert (pooled.card_precision, pooled.card_precision_limit) == (0.4, 0.8)
    assert pooled.average_precision == pytest.approx(0.5, abs=0.02)


def test_a_pooled_figure_is_of_counts_and_undefined_where_one_is_missing() -> None:
    records = ledger(4)
    for record in records[1:]:
        record["metrics"]["next_day"] |= {"accuracy": 0.5, "recall": 0.1, "card_precision_100": 0.1}
    pooled = pool_next_day([read_step(record) for record in records])
    assert (pooled.recall, pooled.precision, pooled.card_precision) == (0.5, 1.0, 0.4)
    assert pooled.accuracy == pytest.approx(1 - 1 / 240)
    for count in ("true_positives", "correct"):
        del records[2]["metrics"]["next_day"][count]
    pooled = pool_next_day([read_step(record) for record in records])
    assert (pooled.recall, pooled.precision, pooled.accuracy) == (None, None, None)


def test_a_trailing_figure_pools_seven_calendar_days() -> None:
    records = ledger(12)
    del records[5]
    days = {day: pooled.days for day, pooled in trailing([read_step(r) for r in records])}
    assert days[FIRST + dt.timedelta(1)] == 1
    assert days[FIRST + dt.timedelta(7)] == 6
    assert days[FIRST + dt.timedelta(11)] == 6
    assert FIRST not in days


@pytest.mark.parametrize("days", [0, 1, 2, 4, 40])
def test_a_page_is_well_formed_and_complete_for_any_number_of_days(days: int) -> None:
    html = page(ledger(days))
    tags = Tags(html)
    assert len(re.findall(r"<tr><th>\d{4}-\d\d-\d\d\.pkl</th>", html)) == days
    plots = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(plots) == {0: 0, 1: 1, 2: 7, 4: 7, 40: 8}[days]
    for svg in plots:
        ET.fromstring(svg)  # noqa: S314 - our own text
    for wrong in ("None<", "nan", "inf%", "$", "#0101", "#0404", "DejaVu"):
        assert wrong not in html
    repeated = Counter(attributes["id"] for _, attributes in tags.seen if "id" in attributes)
    assert all(count == 1 for count in repeated.values())


def test_a_page_needs_nothing_from_the_network_and_no_script() -> None:
    html = page(ledger(30))
    tags = Tags(html)
    assert not {"script", "link", "iframe", "img"} & {tag for tag, _ in tags.seen}
    assert not re.search(r"https?:|//|@import|url\((?!#)", html)
    for _, attributes in tags.seen:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")


def test_small_numbers_on_the_axes_keep_their_digits() -> None:
    html = page(ledger(40))
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", html)
    assert {"0.001", "0.01", "0.1"} <= set(labels)  # of the calibration
    assert {"0.02", "0.04"} <= set(labels)  # of the drift


def test_kinds_of_fraud_are_listed_with_what_100_cards_a_day_reach() -> None:
    records = ledger(4)
    html = page(records)
    for row in (
        "<th>large amount (1)</th><td>120</td><td>120</td><td>0</td><td>100.00",
        "<th>compromised terminal (2)</th><td>120</td><td>9</td><td>111</td><td>7.50",
    ):
        assert row in html
    assert "at a probability of 0.25 and above" in html
    text = text_report(records)
    assert "  Frauds with label 2: 120, caught with 100 cards a day: 9\n" in text
    for record in records:
        record["options"] = {"label": "TX_FRAUD"}
    assert "<th>label (1)</th>" in page(records)


def test_a_broken_chain_is_said_to_be_broken() -> None:
    records = ledger(5)
    assert "5 checkpoints, each trained from the one before" in page(records)
    records[3]["base"] = "f" * 64
    html = page(records)
    assert "1 of them not trained from the one before" in html
    assert "is that of 2018-04-04.pkl" in html


def stale(records: list[dict[str, Any]]) -> str | None:
    return drift([read_step(record) for record in records]).warning


def test_no_warning_while_nothing_changes_or_there_is_too_little_to_compare() -> None:
    assert stale(ledger(60)) is None
    records = ledger(35)  # 34 tests, one too few
    for record in records[-7:]:
        record["ids"]["new_cards"] = 4000
    assert stale(records) is None


def test_a_model_that_ranks_worse_than_before_is_stale_and_says_so_in_one_line() -> None:
    records = ledger(60)
    for record in records[-7:]:
        record["metrics"]["next_day"]["histogram"]["fraud"] = [70, *[0] * (BINS - 2), 10]
    assert re.fullmatch(
        r"In the last 7 days, against the 28 before: average precision fell from 0\.5\d\d to "
        r"0\.1\d\d\.",
        str(stale(records)),
    )
    html, text = page(records), text_report(records)
    assert html.count("The model may be stale.") == 1
    assert text.count("WARNING: the model may be stale.") == 1


def test_scores_that_shift_and_cards_that_are_new_make_a_model_stale() -> None:
    for moved, shifted in ((0.005, False), (0.06, True)):  # part of the rows that scores 5 % now
        records = ledger(60)
        for record in records[-7:]:
            genuine = record["metrics"]["next_day"]["histogram"]["genuine"]
            position = bisect_left(EDGES, 0.05)
            genuine[position] += round(moved * 9600)
            genuine[0] -= round(moved * 9600)
        assert ("scores have shifted" in str(stale(records))) is shifted
    records = ledger(60)
    for record in records[-7:]:
        record["ids"]["new_cards"] = 1000
    assert stale(records) == (
        "In the last 7 days, against the 28 before: 25% of the cards are new."
    )


def test_the_stability_index_is_0_for_equal_shares_and_grows_with_their_distance() -> None:
    def histogram(low: int, high: int) -> dict[str, list[int]]:
        return {"genuine": [low, *[0] * (BINS - 2), high], "fraud": [0] * BINS}

    before = histogram(10_000, 10_000)
    assert stability_index(before, histogram(20_000, 20_000)) == pytest.approx(0, abs=1e-3)
    near, far = (stability_index(before, histogram(*now)) for now in ((6000, 4000), (9000, 1000)))
    assert near == pytest.approx(0.1 * math.log(1.5), abs=0.01)
    assert far == pytest.approx(0.4 * math.log(9), abs=0.01)
    assert stability_index(before, histogram(0, 0)) is None
    below = {"genuine": [0, 10_000, *[0] * (BINS - 3), 10_000], "fraud": [0] * BINS}
    assert stability_index(before, below) == 0, "scores below 3 % are one group"


def test_plots_take_every_colour_from_the_style_sheet() -> None:
    html = page(ledger(40))
    style, body = html.split("</style>")
    assert "prefers-color-scheme: dark" in style
    assert not re.search(r"#[0-9a-f]{6}\b", body)
    used = set(re.findall(r"var\((--[a-z]+)\)", body)) - {"--key"}
    light, dark = style.split("prefers-color-scheme: dark")
    for variable in used:
        assert f"{variable}:" in light
        assert f"{variable}:" in dark


def test_foreign_text_is_shown_and_never_interpreted() -> None:
    record = ledger(2)[1]
    record |= {"dataset": HOSTILE, "checkpoint_file": HOSTILE, "checkpoint": HOSTILE}
    record["metrics"] |= {"testing": None, "testing_note": HOSTILE}
    dead = [{"dataset": HOSTILE, "reason": HOSTILE, "kind": HOSTILE}]
    tags = Tags(page([record], dead))
    assert "script" not in {tag for tag, _ in tags.seen}
    assert not any("onload" in attributes for _, attributes in tags.seen)
    assert tags.text.count("<script>alert(") >= 5
    text = text_report([record], dead)
    assert len(text.splitlines()) == len(text_report([ledger(2)[1]], dead).splitlines()) - 6
    for output in (tags.text, text):
        assert "\u202e" not in output
        assert not re.search(r"^\$", output, flags=re.MULTILINE)
    assert "echo '" in tags.text


@settings(deadline=None, max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(sorted({*ledger(1)[0], *ledger(1)[0]["metrics"], *scores()})),
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


def test_metrics_that_are_undefined_everywhere_still_make_a_page() -> None:
    records = ledger(9)
    for record in records[1:]:
        record["metrics"]["next_day"] = dict.fromkeys(scores()) | {"rows": 5, "frauds": 0}
        record["seconds"] = {}
    html = page(records)
    Tags(html)
    assert "No curve: there are no frauds." in html


def test_a_page_of_a_year_stays_below_500_kilobytes() -> None:
    assert len(page(ledger(365)).encode()) < 500_000


def test_the_same_ledger_gives_the_same_bytes_and_leaves_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("old")
    paths = write_report(ledger(9), [], tmp_path, generated=NOW)
    before = [path.read_bytes() for path in paths]
    assert write_report(ledger(9), [], tmp_path, generated=NOW) == paths
    assert [path.read_bytes() for path in paths] == before
    assert {path.name for path in tmp_path.iterdir()} == {"report.txt", "report.html"}
    assert before[0].startswith(b"*****")


def test_a_failed_write_keeps_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "report.txt").write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(ledger(1), [], tmp_path, generated=NOW)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_importing_the_report_loads_no_plotting_library() -> None:
    code = "import sys, workload.fraud.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_both_reports_say_that_the_model_is_full_and_only_then() -> None:
    records = ledger(3)
    for write in (text_report, page):
        assert "model is full" not in write(records)
    records[1]["dropped"] = {"cards": 7, "terminals": 0}
    records[2]["dropped"] = {"cards": 5, "terminals": 1}
    for write in (text_report, page):
        assert "On 2 days 12 cards and 1 terminal were dropped" in write(records)
