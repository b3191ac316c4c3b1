"""Invariants of the classifier on the columns."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import average_precision_score

from workload.engine import canonical
from workload.fraud.model import features
from workload.fraud.model.features import COLUMNS, WIDTHS
from workload.fraud.model.learner import Learner
from workload.fraud.model.state import State
from workload.fraud.transactions import Day

RNG = np.random.default_rng(5)
FIRST = np.cumsum([0, *WIDTHS.values()])[:-1]


def make_columns(rows: int) -> Any:
    return (FIRST + RNG.integers(0, list(WIDTHS.values()), (rows, len(WIDTHS)))).astype(np.int32)


COLUMNS_OF_DAYS = [make_columns(300) for _ in range(6)]
FRAUD_OF_DAYS = [columns[:, 0] < 3 for columns in COLUMNS_OF_DAYS]


def stored(learner: Learner) -> Learner:
    return Learner.from_arrays(canonical.decode(canonical.encode(learner.to_arrays())))


def trained() -> Learner:
    learner = Learner.untrained()
    for columns, fraud in zip(COLUMNS_OF_DAYS, FRAUD_OF_DAYS, strict=True):
        learner = learner.fit(columns, fraud)
    return learner


def test_untrained_learner_is_undecided() -> None:
    assert np.all(Learner.untrained().probability(make_columns(5)) == 0.5)


def test_learner_stored_after_every_day_equals_the_one_never_stored() -> None:
    kept = resumed = Learner.untrained()
    for columns, fraud in zip(COLUMNS_OF_DAYS, FRAUD_OF_DAYS, strict=True):
        kept, resumed = kept.fit(columns, fraud), stored(resumed).fit(columns, fraud)
        assert canonical.encode(kept.to_arrays()) == canonical.encode(resumed.to_arrays())
        assert np.array_equal(kept.probability(columns), resumed.probability(columns))


def test_a_row_moves_the_weights_of_its_columns_by_a_step_of_their_own() -> None:
    learner = Learner.untrained()
    weights, curvature = np.zeros(COLUMNS), np.zeros(COLUMNS)
    for columns, fraud in zip(COLUMNS_OF_DAYS[0][:40], FRAUD_OF_DAYS[0], strict=False):
        curvature *= 0.99
        said = 1 / (1 + np.exp(-weights[columns].sum()))
        curvature[columns] += said * (1 - said)
        weights[columns] += 1.5 / (1 + curvature[columns]) * (fraud - said)
        learner = learner.fit(columns[np.newaxis], np.array([fraud]))
        np.testing.assert_allclose(learner.curvature, curvature, rtol=1e-9)
        np.testing.assert_allclose(learner.weights, weights, rtol=1e-9, atol=1e-12)


def test_a_day_is_one_pass_of_the_classifier_from_the_weights_so_far() -> None:
    learner = Learner.untrained()
    for columns, fraud in zip(COLUMNS_OF_DAYS, FRAUD_OF_DAYS, strict=True):
        one_hot = np.zeros((len(columns), COLUMNS))
        np.put_along_axis(one_hot, columns.astype(np.int64), 1.0, axis=1)
        before, learner = learner, learner.fit(columns, fraud)
        scale = np.sqrt(1.5 / (1 + learner.curvature))
        classifier = SGDClassifier(
            loss="log_loss", penalty=None, learning_rate="constant", eta0=1.0,
            fit_intercept=False, max_iter=1, tol=None, random_state=0,
        )  # fmt: skip
        start = (before.weights / scale)[np.newaxis]
        classifier.fit(csr_matrix(one_hot * scale), fraud.astype(int), coef_init=start)
        assert np.array_equal(classifier.coef_[0] * scale, learner.weights)
        expected = classifier.predict_proba(csr_matrix(one_hot * scale))[:, 1]
        np.testing.assert_allclose(learner.probability(columns), expected, rtol=1e-9)


def test_the_terms_of_a_row_add_up_to_its_log_odds() -> None:
    learner, columns = trained(), make_columns(50)
    said = learner.probability(columns)
    terms = learner.terms(columns)
    np.testing.assert_allclose(terms.sum(axis=1), np.log(said / (1 - said)), rtol=1e-6)
    assert np.array_equal(terms[:, 2], learner.weights[columns[:, 2]])


def test_probabilities_that_are_at_hand_change_nothing_but_the_work() -> None:
    learner, columns, fraud = trained(), COLUMNS_OF_DAYS[0], FRAUD_OF_DAYS[0]
    told = learner.fit(columns, fraud, learner.probability(columns))
    assert canonical.encode(told.to_arrays()) == canonical.encode(
        learner.fit(columns, fraud).to_arrays()
    )


def test_fit_leaves_the_learner_it_starts_from_alone() -> None:
    learner = trained()
    before = canonical.encode(learner.to_arrays())
    learner.fit(COLUMNS_OF_DAYS[0], FRAUD_OF_DAYS[0])
    assert canonical.encode(learner.to_arrays()) == before


@pytest.mark.parametrize("label", [False, True])
@pytest.mark.parametrize("rows", [1, 50])
def test_days_of_one_class_are_learned(rows: int, label: bool) -> None:
    columns = make_columns(rows)
    for start in (Learner.untrained(), trained()):
        before, after = start.probability(columns), start.fit(columns, np.full(rows, label))
        moved = after.probability(columns) - before
        assert np.all(moved > 0) if label else np.all(moved < 0)


def test_probability_does_not_depend_on_the_other_rows_or_the_memory_layout() -> None:
    learner, columns = trained(), make_columns(101)
    whole = learner.probability(columns)
    assert np.array_equal(learner.probability(np.asfortranarray(columns)), whole)
    alone = [learner.probability(columns[row : row + 1])[0] for row in range(101)]
    assert np.array_equal(alone, whole)
    assert whole.min() >= 0
    assert whole.max() <= 1


def test_fit_does_not_depend_on_the_memory_layout() -> None:
    columns, fraud = COLUMNS_OF_DAYS[0], FRAUD_OF_DAYS[0]
    one, other = trained().fit(columns, fraud), trained().fit(np.asfortranarray(columns), fraud)
    assert np.array_equal(one.weights, other.weights)


def test_what_can_be_learned_is_and_shuffled_labels_are_not() -> None:
    test = make_columns(2000)
    fraud = test[:, 0] < 3
    assert average_precision_score(fraud, trained().probability(test)) > 0.95
    shuffled = Learner.untrained()
    for columns, labels in zip(COLUMNS_OF_DAYS, FRAUD_OF_DAYS, strict=True):
        shuffled = shuffled.fit(columns, RNG.permutation(labels))
    assert average_precision_score(fraud, shuffled.probability(test)) < 2 * fraud.mean()


@pytest.mark.parametrize("shuffled", [False, True])
def test_shuffled_labels_cannot_be_predicted_and_real_ones_can(*, shuffled: bool) -> None:
    rng = np.random.default_rng(1)
    number_of = np.arange(300)
    state, learner = State.empty(), Learner.untrained()
    scores, labels = [], []
    for number in range(40):
        terminal, customer = rng.integers(0, 15, 300), rng.integers(0, 40, 300)
        amount = np.round(rng.gamma(4.0, 5.0 + customer % 7), 2)
        fraud = ((terminal + number // 9) % 6 == 0) | (amount > 60)
        day = Day(
            date=dt.date(2018, 4, 1) + dt.timedelta(number),
            transaction=number_of,
            second=(number_of * 200).astype(np.int32),
            customer=customer,
            terminal=terminal,
            amount=amount,
            scenario=(rng.permutation(fraud) if shuffled else fraud).astype(np.int8),
            sha256="",
        )
        state = state.advance(day.date)
        columns = features.columns(state, day)
        if number >= 20:
            scores.append(learner.probability(columns))
            labels.append(day.fraud)
        learner, state = learner.fit(columns, day.fraud), state.absorb(day)
    fraud = np.concatenate(labels)
    gain = average_precision_score(fraud, np.concatenate(scores)) / fraud.mean()
    assert (gain < 1.25) if shuffled else (gain > 2)


def test_weights_of_other_columns_are_refused() -> None:
    arrays: Any = trained().to_arrays()
    for name in ("weights", "curvature"):
        other = arrays | {name: arrays[name][:-1]}
        with pytest.raises(ValueError, match=f"{name} of .* this version has {COLUMNS}"):
            Learner.from_arrays(other)


def test_a_learner_of_another_version_is_refused() -> None:
    arrays: Any = trained().to_arrays()
    for other in ({"weights": arrays["weights"]}, arrays | {"intercept": 0.5}):
        with pytest.raises(ValueError, match="this version has weights, curvature"):
            Learner.from_arrays(other)


def test_arrays_hold_nothing_of_scikit_learn() -> None:
    arrays = trained().to_arrays()
    assert {type(value) for value in arrays.values()} == {np.ndarray}
