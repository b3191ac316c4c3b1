from __future__ import annotations

import json
import math
import pickle
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    roc_auc_score,
)

from workload.fraud.metrics import (
    BINS,
    CARDS,
    EDGES,
    evaluate,
    pool,
    pooled_average_precision,
    pooled_roc_auc,
    precision_recall_curve,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]


@st.composite
def sets(draw: st.DrawFn, *, both: bool = True) -> Rows:
    """Draw scores (few distinct values, so many ties), outcomes and cards of a small set."""
    score = st.sampled_from([0.0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.999, 1.0]) | st.floats(0, 1)
    rows = draw(st.lists(st.tuples(score, st.booleans(), st.integers(0, 2**62)), max_size=60))
    if both:
        rows += [(draw(score), True, 3), (draw(score), False, 2**62)]
    return (
        np.array([row[0] for row in rows], dtype=np.float64),
        np.array([row[1] for row in rows], dtype=np.bool_),
        np.array([row[2] for row in rows], dtype=np.int64),
    )


def day(seed: int, rows: int = 9600, fraud_share: float = 0.0084) -> Rows:
    """Return a day on which three quarters of the frauds are easy."""
    random = np.random.default_rng(seed)
    fraud = random.random(rows) < fraud_share
    easy = fraud & (random.random(rows) < 0.75)
    log_odds = np.where(easy, 4.5, np.where(fraud, -3.0, -6.5)) + random.normal(0, 1.6, rows)
    return 1 / (1 + np.exp(-log_odds)), fraud, random.integers(0, 5000, rows)


def histogram_of(result: dict[str, object]) -> dict[str, list[int]]:
    return cast("dict[str, list[int]]", result["histogram"])


@settings(deadline=None, max_examples=50)
@given(sets())
def test_average_precision_auc_brier_and_accuracy_agree_with_scikit_learn(rows: Rows) -> None:
    probability, fraud, customer = rows
    result = evaluate(probability, fraud, customer)
    assert result["average_precision"] == pytest.approx(average_precision_score(fraud, probability))
    assert result["roc_auc"] == pytest.approx(roc_auc_score(fraud, probability))
    assert result["brier"] == pytest.approx(brier_score_loss(fraud, probability))
    assert result["accuracy"] == pytest.approx(accuracy_score(fraud, probability > 0.5))
    assert result["correct"] == accuracy_score(fraud, probability > 0.5, normalize=False)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31))
def test_nothing_depends_on_the_order_of_the_rows(seed: int) -> None:
    random = np.random.default_rng(seed)
    fraud = random.random(3000) < 0.05
    probability = random.integers(0, 5, 3000) / 4
    customer = random.integers(0, 400, 3000)
    order = random.permutation(3000)
    expected = evaluate(probability, fraud, customer)
    assert evaluate(probability[order], fraud[order], customer[order]) == expected


@settings(deadline=None, max_examples=50)
@given(sets(both=False))
def test_a_result_survives_json_and_pickle_unchanged(rows: Rows) -> None:
    result = evaluate(*rows)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert b"numpy" not in pickle.dumps(result)


@settings(deadline=None, max_examples=50)
@given(sets(both=False))
def test_every_ratio_is_that_of_the_counts_beside_it(rows: Rows) -> None:
    result = evaluate(*rows)
    for ratio, part, whole in (
        ("accuracy", "correct", result["rows"]),
        ("recall", "true_positives", result["frauds"]),
        ("precision", "true_positives", result["alarms"]),
        ("card_precision_100", "cards_found", CARDS if result["frauds"] else 0),
    ):
        expected = pytest.approx(cast("int", result[part]) / cast("int", whole)) if whole else None
        assert result[ratio] == expected, ratio


def test_a_set_without_frauds_has_no_ranking_metrics() -> None:
    none = evaluate(np.array([0.1, 0.9]), np.zeros(2, dtype=np.bool_), np.array([1, 2]))
    assert {key for key, value in none.items() if value is None} == {
        "average_precision",
        "roc_auc",
        "card_precision_100",
        "card_threshold_100",
        "recall",
    }
    assert none["accuracy"] == 0.5
    assert none["majority_accuracy"] == 1.0


def test_the_card_threshold_is_where_alarms_reach_100_cards() -> None:
    probability, fraud, customer = day(1)
    threshold = cast("float", evaluate(probability, fraud, customer)["card_threshold_100"])
    assert len(np.unique(customer[probability >= threshold])) >= CARDS
    assert len(np.unique(customer[probability > threshold])) < CARDS


def test_each_kind_of_fraud_is_counted_and_caught_with_its_card() -> None:
    probability, fraud, customer = day(2)
    scenario = (fraud * (1 + customer % 3)).astype(np.int8)
    result = evaluate(probability, fraud, customer, scenario=scenario)
    threshold = cast("float", result["card_threshold_100"])
    checked = np.unique(customer[probability >= threshold])
    assert len(checked) == CARDS, "no ties, or the next line would not hold"
    assert result["scenarios"] == {
        str(kind): {
            "frauds": int((scenario == kind).sum()),
            "caught": int(np.isin(customer[scenario == kind], checked).sum()),
        }
        for kind in (1, 2, 3)
    }
    assert evaluate(probability, fraud, customer)["scenarios"] == {}


def test_a_set_of_frauds_only_has_no_auc() -> None:
    result = evaluate(np.array([0.1, 0.9]), np.ones(2, dtype=np.bool_), np.array([1, 2]))
    assert result["roc_auc"] is None
    assert result["average_precision"] == 1.0
    assert result["majority_accuracy"] == 0.0


def test_an_empty_set_is_counted_and_measured_as_nothing() -> None:
    result = evaluate(np.empty(0), np.empty(0, dtype=np.bool_), np.empty(0, dtype=np.int64))
    assert (result["rows"], result["frauds"], result["alarms"]) == (0, 0, 0)
    assert all(
        result[key] is None
        for key in ("accuracy", "majority_accuracy", "average_precision", "precision", "brier")
    )


def test_an_untrained_model_raises_no_alarm() -> None:
    _, fraud, customer = day(0)
    result = evaluate(np.full(len(fraud), 0.5), fraud, customer)
    assert result["alarms"] == 0
    assert result["recall"] == 0.0
    assert result["precision"] is None
    assert result["accuracy"] == result["majority_accuracy"]
    assert result["roc_auc"] == 0.5


def test_alarms_follow_the_threshold() -> None:
    probability, fraud = np.array([0.2, 0.4, 0.9]), np.array([True, False, True])
    result = evaluate(probability, fraud, np.arange(3), threshold=0.3)
    assert (result["alarms"], result["recall"], result["precision"]) == (2, 0.5, 0.5)
    assert result["accuracy"] == pytest.approx(1 / 3)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.sampled_from([30, 300, 2000]), st.sampled_from([2, 4, 1000]))
def test_card_precision_ranks_cards_by_highest_score_then_lowest_number(
    seed: int, cards: int, levels: int
) -> None:
    random = np.random.default_rng(seed)
    probability = random.integers(0, levels, 3000) / levels
    customer = random.integers(0, cards, 3000) + 2**60
    fraud = random.random(3000) < 0.05
    best: dict[int, float] = {}
    for card, score in zip(customer.tolist(), probability.tolist(), strict=True):
        best[card] = max(score, best.get(card, 0.0))
    ranked = sorted(best, key=lambda card: (-best[card], card))[:CARDS]
    compromised = set(customer[fraud].tolist())
    result = evaluate(probability, fraud, customer)
    assert result["cards_found"] == sum(card in compromised for card in ranked)
    assert result["fraud_cards"] == len(compromised)


def test_card_precision_divides_by_100_when_there_are_fewer_cards() -> None:
    result = evaluate(np.array([0.9, 0.1, 0.8]), np.array([True, False, True]), np.array([7, 8, 9]))
    assert result["card_precision_100"] == 0.02


def test_bin_edges_are_ascending_symmetric_and_split_at_one_half() -> None:
    assert len(EDGES) == BINS - 1
    assert list(EDGES) == sorted(set(EDGES))
    assert EDGES[BINS // 2 - 1] == 0.5
    assert EDGES[-1] == pytest.approx(1 / (1 + math.exp(-63 / 8)), abs=1e-15)
    for low, high in zip(EDGES, reversed(EDGES), strict=True):
        assert low + high == pytest.approx(1, abs=1e-15)


@settings(deadline=None, max_examples=50)
@given(sets(both=False))
def test_the_histogram_holds_every_row_on_its_side_of_the_threshold(rows: Rows) -> None:
    result = evaluate(*rows)
    histogram = histogram_of(result)
    upper = [sum(histogram[kind][BINS // 2 :]) for kind in ("genuine", "fraud")]
    assert sum(upper) == result["alarms"]
    assert sum(histogram["fraud"]) == result["frauds"]
    assert sum(histogram["genuine"]) + sum(histogram["fraud"]) == result["rows"]
    assert upper[1] == result["true_positives"]


def test_pooled_metrics_match_the_metrics_of_the_pooled_scores() -> None:
    days = [day(seed) for seed in range(7)]
    pooled = pool(histogram_of(evaluate(*rows)) for rows in days)
    probability, fraud, _ = (np.concatenate(column) for column in zip(*days, strict=True))
    exact = average_precision_score(fraud, probability)
    assert pooled_average_precision(pooled) == pytest.approx(exact, abs=0.002)
    assert pooled_roc_auc(pooled) == pytest.approx(roc_auc_score(fraud, probability), abs=0.001)


def test_scores_in_one_bin_are_ties() -> None:
    _, fraud, customer = day(0)
    assert pooled_roc_auc(histogram_of(evaluate(np.zeros(len(fraud)), fraud, customer))) == 0.5


def test_pooling_is_addition_and_an_empty_pool_has_no_metrics() -> None:
    one, two = (histogram_of(evaluate(*day(seed, rows=500))) for seed in (1, 2))
    assert pool([one, two]) == pool([pool([two]), one])
    assert sum(pool([one, two])["genuine"]) == sum(one["genuine"]) + sum(two["genuine"])
    assert sum(pool([])["genuine"]) == 0
    assert pooled_average_precision(pool([])) is None
    assert pooled_roc_auc(pool([])) is None
    assert precision_recall_curve(pool([])) == ([], [])


def test_a_histogram_of_other_bins_is_not_pooled() -> None:
    with pytest.raises(ValueError, match="2 bins, not 128"):
        pool([{"genuine": [1, 2], "fraud": [0, 0]}])


def test_the_precision_recall_curve_ends_at_full_recall_and_the_base_rate() -> None:
    probability, fraud, customer = day(5)
    recall, precision = precision_recall_curve(histogram_of(evaluate(probability, fraud, customer)))
    assert recall == sorted(recall)
    assert recall[-1] == 1.0
    assert precision[-1] == pytest.approx(fraud.mean())
    at_half = np.count_nonzero(fraud & (probability > 0.5)) / np.count_nonzero(fraud)
    assert any(math.isclose(value, at_half, rel_tol=1e-9) for value in recall)


@pytest.mark.parametrize("wrong", [math.nan, -0.1, 1.5, math.inf])
def test_a_score_that_is_no_probability_is_an_error(wrong: float) -> None:
    with pytest.raises(ValueError, match="not within 0 to 1"):
        evaluate(np.array([0.5, wrong]), np.array([True, False]), np.array([1, 2]))


def test_columns_of_different_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="not 2, 1 and 2"):
        evaluate(np.array([0.5, 0.5]), np.array([True]), np.array([1, 2]))
