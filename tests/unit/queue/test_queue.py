"""The queue's guarantees, one by one, at the level of its scripts, on every server at hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from workload.errors import LeaseLost
from workload.queue import (
    Claimed,
    Commit,
    DeadLetter,
    Empty,
    Halted,
    Head,
    Lease,
    Queue,
    Torn,
    Turn,
    Wait,
)
from workload.queue.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

NewQueue = "Callable[..., Queue]"
LEASES = "datasets:leases"


def push(queue: Queue, *datasets: str) -> None:
    """Enqueue as any client would."""
    queue.client.rpush("datasets", *datasets)


def claim(queue: Queue, holding: Lease | None = None) -> Lease:
    answer = queue.claim(holding)
    assert isinstance(answer, Claimed), answer
    return answer.lease


def head_of(queue: Queue) -> str | None:
    return queue.status().head.checkpoint


def commit(queue: Queue, lease: Lease, checkpoint: str | None = None) -> None:
    checkpoint = checkpoint or f"checkpoint-{lease.dataset}"
    record = {"dataset": lease.dataset, "checkpoint": checkpoint, "date": lease.dataset}
    queue.complete(lease, head_of(queue), checkpoint, lease.dataset, record)


def expire(queue: Queue, *datasets: str) -> None:
    """Let leases run out, without waiting for the clock."""
    for dataset in datasets:
        assert queue.client.zscore(LEASES, dataset) is not None
        queue.client.zadd(LEASES, {dataset: 0})


def waiting(queue: Queue) -> list[str]:
    return [str(dataset) for dataset in queue.client.lrange("datasets", 0, -1)]


def everything(queue: Queue) -> list[str]:
    """Return every dataset the queue knows, wherever it is."""
    status = queue.status()
    return sorted(
        waiting(queue)
        + [claimed.dataset for claimed in status.claims]
        + [record.record["dataset"] for record in queue.commits()]
        + [letter.dataset for letter in status.dead]
    )


# --- 1 and 4: nothing is lost; what comes back counts as no attempt -------------------------------


def test_oldest_pushed_is_claimed_first(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue()
    push(queue, "a", "b", "c")
    assert [claim(queue).dataset for _ in range(3)] == ["a", "b", "c"]


def test_expired_lease_returns_to_the_front_as_a_crash_not_an_attempt(
    new_queue: Callable[..., Queue],
) -> None:
    dead, living = new_queue(), new_queue()
    push(dead, "a", "b")
    claim(dead)
    expire(dead, "a")
    again = claim(living)
    assert (again.dataset, again.attempts, again.crashes) == ("a", 0, 1)
    assert everything(living) == ["a", "b"]


def test_expired_leases_come_back_in_order_before_what_waits(
    new_queue: Callable[..., Queue],
) -> None:
    dead, living = new_queue(), new_queue()
    push(dead, "a", "b", "c", "d")
    for _ in range(3):
        claim(dead)
    expire(dead, "c", "a", "b")
    living.claim()
    assert waiting(living) == ["b", "c", "d"]


@pytest.mark.parametrize("returns", [["a", "b"], ["b", "a"]])
def test_datasets_handed_back_one_by_one_keep_their_order(
    new_queue: Callable[..., Queue], returns: list[str]
) -> None:
    holders = {name: new_queue() for name in ("a", "b", "c")}
    push(holders["a"], "a", "b", "c", "d")
    for name, holder in holders.items():
        assert claim(holder).dataset == name
    for name in returns:
        assert holders[name].hand_back() == [name]
    assert waiting(holders["a"]) == ["a", "b", "d"]


def test_hand_back_counts_as_nothing_and_leaves_other_sessions_alone(
    new_queue: Callable[..., Queue],
) -> None:
    leaving, staying = new_queue(), new_queue()
    push(leaving, "a", "b")
    claim(leaving)
    kept = claim(staying)
    assert leaving.hand_back() == ["a"]
    again = claim(leaving)
    assert (again.dataset, again.attempts, again.crashes) == ("a", 0, 0)
    assert staying.renew([(kept.dataset, kept.token)]) == set()


def test_death_reported_by_the_renewer_counts_as_a_crash(new_queue: Callable[..., Queue]) -> None:
    queue, other = new_queue(), new_queue()
    push(queue, "a")
    claim(queue)
    assert queue.report_crash() == ["a"]
    assert claim(other).crashes == 1


def test_dataset_claimed_by_a_foreign_worker_comes_back_after_a_grace_lease(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "a", "b")
    queue.client.lmove("datasets", "datasets:processing", "LEFT", "RIGHT")
    assert claim(queue).dataset == "b"
    assert isinstance(queue.claim(), Empty)
    expire(queue, "a")
    assert claim(new_queue()).dataset == "a"


def test_repeated_claim_after_a_lost_reply_returns_the_same_lease(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "a", "b")
    first = claim(queue)
    request = first.token.partition(".")[2]
    reply = queue._run("claim", request, 15000, 20, "", "", 1)
    assert reply[1:3] == [first.dataset, first.token]
    assert waiting(queue) == ["b"]


def test_many_expired_leases_all_come_back(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue()
    names = [f"{number:03}" for number in range(50)]
    push(queue, *names)
    for _ in names:
        claim(queue)
    expire(queue, *names)
    other = new_queue()
    assert [claim(other).dataset for _ in names] == names


# --- 2: exactly once, fenced ----------------------------------------------------------------------


def test_worker_that_lost_its_lease_can_neither_commit_renew_refuse_nor_fail(
    new_queue: Callable[..., Queue],
) -> None:
    zombie, heir = new_queue(), new_queue()
    push(zombie, "a")
    stale = claim(zombie)
    expire(zombie, "a")
    fresh = claim(heir)
    with pytest.raises(LeaseLost):
        commit(zombie, stale)
    with pytest.raises(LeaseLost):
        zombie.refuse(stale, "no")
    with pytest.raises(LeaseLost):
        zombie.fail(stale, "no")
    with pytest.raises(LeaseLost):
        zombie.claim(holding=stale)
    assert zombie.renew([(stale.dataset, stale.token)]) == {stale.token}
    assert zombie.hand_back() == []
    commit(heir, fresh)
    assert len(heir.commits()) == 1


def test_zombie_cannot_commit_what_another_has_committed(
    new_queue: Callable[..., Queue],
) -> None:
    zombie, heir = new_queue(), new_queue()
    push(zombie, "a")
    stale = claim(zombie)
    expire(zombie, "a")
    commit(heir, claim(heir))
    with pytest.raises(LeaseLost):
        commit(zombie, stale, "other")
    assert [record.record["checkpoint"] for record in heir.commits()] == ["checkpoint-a"]


def test_repeated_commit_after_a_lost_reply_is_counted_once(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "a")
    lease = claim(queue)
    commit(queue, lease)
    commit(queue, lease)
    assert len(queue.commits()) == 1


def test_tokens_stay_unique_when_redis_goes_back_in_time(new_queue: Callable[..., Queue]) -> None:
    queue, other = new_queue(), new_queue()
    push(queue, "a")
    before = claim(queue).token
    queue.client.flushall()
    push(queue, "a")
    after = claim(other).token
    assert before != after
    with pytest.raises(LeaseLost):
        commit(queue, Lease("a", before, 1, 0, 0))


def test_second_copy_of_a_dataset_is_dropped_wherever_the_first_is(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "claimed", "done", "bad")
    held = claim(queue)
    done, bad = claim(queue), claim(queue)
    commit(queue, held)
    commit(queue, done)
    queue.refuse(bad, "bad")
    push(queue, "next")
    assert claim(queue).dataset == "next"
    push(queue, "claimed", "done", "bad", "next")
    assert isinstance(queue.claim(), Empty)
    assert waiting(queue) == []
    assert everything(queue) == ["bad", "claimed", "done", "next"]


# --- 3: one chain in queue order ------------------------------------------------------------------


def test_only_the_first_in_order_may_commit(new_queue: Callable[..., Queue]) -> None:
    first, second = new_queue(), new_queue()
    push(first, "a", "b")
    a, b = claim(first), claim(second)
    with pytest.raises(LeaseLost, match="early"):
        commit(second, b)
    assert isinstance(second.claim(holding=b), Wait)
    commit(first, a)
    assert second.claim(holding=b) == Turn(Head("checkpoint-a", "a", "a"))
    commit(second, b)
    assert [record.record["dataset"] for record in first.commits()] == ["a", "b"]


def test_commit_on_another_head_than_the_current_is_rejected(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "a", "b")
    commit(queue, claim(queue))
    with pytest.raises(LeaseLost, match="stale"):
        queue.complete(claim(queue), None, "fork", "b", {})
    assert head_of(queue) == "checkpoint-a"


def test_claim_says_whether_the_dataset_is_first_in_order(
    new_queue: Callable[..., Queue],
) -> None:
    queue, other = new_queue(), new_queue()
    push(queue, "a", "b")
    first, second = queue.claim(), other.claim()
    assert isinstance(first, Claimed)
    assert isinstance(second, Claimed)
    assert first.turn == Turn(Head())
    assert second.turn is None


def test_holder_of_a_later_dataset_is_given_the_first_when_its_worker_dies(
    new_queue: Callable[..., Queue],
) -> None:
    dead, living = new_queue(), new_queue()
    push(dead, "a", "b", "c")
    claim(dead)
    held = claim(living)
    assert isinstance(living.claim(holding=held), Wait)
    expire(dead, "a")
    assert claim(living, holding=held).dataset == "a"
    assert waiting(living) == ["c"], "a holder takes nothing later than what it holds"


def test_refused_dataset_lets_the_next_one_have_its_turn(new_queue: Callable[..., Queue]) -> None:
    queue, other = new_queue(), new_queue()
    push(queue, "bad", "b")
    bad, b = claim(queue), claim(other)
    queue.refuse(bad, "NaN amounts")
    assert other.claim(holding=b) == Turn(Head())


@pytest.mark.parametrize("remove_from_line", [True, False])
def test_dataset_removed_or_overtaken_by_hand_does_not_stop_the_line(
    new_queue: Callable[..., Queue], *, remove_from_line: bool
) -> None:
    queue, other = new_queue(), new_queue()
    push(queue, "a", "b")
    claim(queue)
    held = claim(other)
    queue.hand_back()
    if remove_from_line:
        queue.client.lrem("datasets", 0, "a")
        assert other.claim(holding=held) == Turn(Head())
    else:
        queue.client.lpush("datasets", "urgent")
        assert claim(other, holding=held).dataset == "a"
        assert waiting(queue) == ["urgent"]


# --- 5: dead letters, halts, the operator ---------------------------------------------------------


def test_refused_dataset_is_a_dead_letter_with_its_reason(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "bad")
    queue.refuse(claim(queue), 'column "TX_AMOUNT" is missing')
    status = queue.status()
    assert status.dead == [DeadLetter("bad", "refused", 'column "TX_AMOUNT" is missing')]
    assert status.drained


def test_chain_halts_after_the_last_attempt_and_goes_on_after_retry(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue(max_attempts=2)
    push(queue, "a", "b")
    assert queue.fail(claim(queue), "disk") == ("retry", 1)
    again = claim(queue)
    assert (again.dataset, again.attempts) == ("a", 1)
    assert queue.fail(again, "disk") == ("halted", 2)
    assert queue.claim() == Halted("a", "disk")
    assert queue.retry() == {"a": "retried"}
    fresh = claim(queue)
    assert (fresh.dataset, fresh.attempts) == ("a", 0)


def test_chain_halts_when_one_dataset_kills_too_many_workers(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue(crash_limit=2)
    push(queue, "a")
    for _ in range(2):
        claim(queue)
        expire(queue, "a")
    assert queue.claim() == Halted("a", "its worker died 2 times")


def test_holder_learns_that_the_chain_is_halted(new_queue: Callable[..., Queue]) -> None:
    failing, other = new_queue(max_attempts=1), new_queue()
    push(failing, "a", "b")
    a, b = claim(failing), claim(other)
    failing.fail(a, "disk")
    assert other.claim(holding=b) == Halted("a", "disk")


def test_skip_ends_a_halt_and_the_chain_goes_on(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue(max_attempts=1)
    push(queue, "a", "b")
    queue.fail(claim(queue), "disk")
    assert queue.skip("a", "operator")
    assert queue.status().halted is None
    assert claim(queue).dataset == "b"
    assert queue.status().dead == [DeadLetter("a", "skipped", "operator")]


def test_skip_takes_a_claimed_dataset_away_from_its_worker(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "a")
    lease = claim(queue)
    assert queue.skip("a", "operator")
    with pytest.raises(LeaseLost):
        commit(queue, lease)


@pytest.mark.parametrize("finished", ["committed", "refused", "unknown"])
def test_skip_of_a_dataset_that_is_not_unfinished_changes_nothing(
    new_queue: Callable[..., Queue], finished: str
) -> None:
    queue = new_queue()
    if finished != "unknown":
        push(queue, "a")
        lease = claim(queue)
        commit(queue, lease) if finished == "committed" else queue.refuse(lease, "bad")
    before = everything(queue)
    assert not queue.skip("a", "operator")
    assert everything(queue) == before


def test_refused_dataset_is_not_readmitted_by_push_or_retry(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "bad")
    queue.refuse(claim(queue), "bad")
    assert queue.push(["bad"]) == (0, {"bad": "refused"})
    assert queue.retry(["bad"]) == {"bad": "refused"}


def test_push_is_safe_to_run_twice(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue()
    queue.push(["a"])
    commit(queue, claim(queue))
    queue.push(["b"])
    claim(queue)
    assert queue.push(["a", "b", "c", "c"])[1] == {
        "a": "committed",
        "b": "processing",
        "c": "pushed",
    }
    assert waiting(queue) == ["c"]


def test_counters_of_a_finished_dataset_are_forgotten(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue()
    push(queue, "a")
    queue.fail(claim(queue), "disk")
    expire_me = claim(queue)
    expire(queue, expire_me.dataset)
    lease = claim(queue)
    assert (lease.attempts, lease.crashes) == (1, 1)
    commit(queue, lease)
    assert (queue.commits()[0].attempts, queue.commits()[0].crashes) == (1, 1)
    for key in ("datasets:tries", "datasets:claims", LEASES, "datasets:order"):
        assert queue.client.exists(key) == 0, key


# --- 6: waiting -----------------------------------------------------------------------------------


def test_empty_queue_says_whether_work_is_in_other_hands(new_queue: Callable[..., Queue]) -> None:
    queue, other = new_queue(), new_queue()
    empty = queue.claim()
    assert isinstance(empty, Empty)
    assert (empty.processing, empty.filled) == (0, False)
    push(queue, "a")
    lease = claim(other)
    empty = queue.claim()
    assert isinstance(empty, Empty)
    assert (empty.processing, empty.filled) == (1, True)
    assert 0 < empty.wait.seconds <= 15.1
    commit(other, lease)
    empty = queue.claim()
    assert isinstance(empty, Empty)
    assert (empty.processing, empty.filled) == (0, True)


def test_event_that_came_between_looking_and_waiting_is_not_missed(
    new_queue: Callable[..., Queue],
) -> None:
    queue, other = new_queue(), new_queue()
    push(queue, "a", "b")
    a, b = claim(queue), claim(other)
    wait = other.claim(holding=b)
    assert isinstance(wait, Wait)
    commit(queue, a)
    assert other.wait_for_event(wait, at_most=5.0), "the commit after the look ends the wait"


def test_waiting_for_the_first_push_takes_nothing_and_keeps_the_order(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "a", "b", "c")
    queue.wait_for_push(1.0)
    assert waiting(queue) == ["a", "b", "c"]


# --- 7: restore -----------------------------------------------------------------------------------


def records(*datasets: str) -> list[Commit]:
    return [
        Commit({"dataset": name, "checkpoint": f"checkpoint-{name}", "date": name}, 0, 0, 1.0)
        for name in datasets
    ]


def test_extend_adds_forgotten_commits_and_drops_their_datasets_from_the_queue(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "a", "b", "c", "d")
    commit(queue, claim(queue))
    held = claim(queue)
    assert queue.extend(records("b", "c"), "checkpoint-a")
    assert waiting(queue) == ["d"]
    assert head_of(queue) == "checkpoint-c"
    with pytest.raises(LeaseLost):
        commit(queue, held)
    assert claim(queue).dataset == "d"


def test_extend_of_another_head_changes_nothing(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue()
    push(queue, "a", "b")
    commit(queue, claim(queue))
    before = everything(queue)
    assert not queue.extend(records("b"), "elsewhere")
    assert everything(queue) == before


# --- keys that are gone ---------------------------------------------------------------------------


def worn(new_queue: Callable[..., Queue]) -> Queue:
    """Return a queue that has something of everything: c is in work, b and d are out for good."""
    queue = new_queue()
    push(queue, "a", "b", "c", "d", "e", "f")
    commit(queue, claim(queue))
    queue.refuse(claim(queue), "bad")
    claim(queue)
    assert queue.skip("d", "by hand")
    return queue


KEYS_THAT_PROVE = ["state", "commits", "done", "dead", "order", "processing"]


@pytest.mark.parametrize("key", KEYS_THAT_PROVE)
def test_queue_without_one_of_its_keys_gives_nothing_out_and_takes_no_commit(
    new_queue: Callable[..., Queue], key: str
) -> None:
    queue = worn(new_queue)
    assert not queue.status().torn
    held = queue.status().claims[0]
    token = str(queue.client.hget("datasets:claims", held.dataset))
    queue.client.delete(f"datasets:{key}")
    assert queue.status().torn
    before = everything(queue)
    assert queue.claim() == Torn()
    if key != "processing":  # the chain itself is whole
        with pytest.raises(LeaseLost):
            commit(queue, Lease(held.dataset, token, held.order, 0, 0))
    assert not queue.extend(records("x"), head_of(queue))
    assert everything(queue) == before


def test_commit_is_refused_when_what_was_learned_is_forgotten(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "a", "b")
    commit(queue, claim(queue))
    held = claim(queue)
    queue.client.delete("datasets:done")
    with pytest.raises(LeaseLost, match="torn"):
        commit(queue, held)


@pytest.mark.parametrize("key", KEYS_THAT_PROVE)
def test_mend_keeps_what_the_other_keys_tell(new_queue: Callable[..., Queue], key: str) -> None:
    queue = worn(new_queue)
    queue.client.delete(f"datasets:{key}")
    proven = records("a")
    assert queue.mend(proven, head_of(queue), len(queue.commits()))
    status = queue.status()
    assert not status.torn
    assert queue.commits() == proven
    assert head_of(queue) == "checkpoint-a"
    # Without `dead` its reasons are gone; without `done`, nothing is.
    assert [(letter.dataset, letter.kind) for letter in status.dead] == [
        ("b", "refused"),
        ("d", "skipped"),
    ]
    reason = "Redis lost the reason" if key == "dead" else "bad"
    assert status.dead[0].reason == reason
    assert waiting(queue) == ["c", "e", "f"]
    assert queue.push(["a", "b", "d"])[1] == {"a": "committed", "b": "refused", "d": "skipped"}
    assert claim(queue).dataset == "c"


def test_mend_queues_again_what_was_learned_and_is_in_no_chain(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "c", "b", "a", "d")
    for _ in range(3):
        commit(queue, claim(queue))
    queue.client.delete("datasets:commits")
    assert queue.mend(records("c"), "checkpoint-a", 0)
    assert waiting(queue) == ["a", "b", "d"]
    assert head_of(queue) == "checkpoint-c"


def test_mend_of_a_dead_letter_that_was_learned_keeps_the_commit(
    new_queue: Callable[..., Queue],
) -> None:
    queue = worn(new_queue)
    queue.client.delete("datasets:done")
    assert queue.mend(records("a", "b"), head_of(queue), 1)
    status = queue.status()
    assert (status.torn, [letter.dataset for letter in status.dead]) == (False, ["d"])


@pytest.mark.parametrize("what", ["whole", "another head", "another length"])
def test_mend_of_keys_that_are_not_as_they_were_seen_changes_nothing(
    new_queue: Callable[..., Queue], what: str
) -> None:
    queue = worn(new_queue)
    if what != "whole":
        queue.client.delete("datasets:done")
    before = {key: queue.client.dump(key) for key in KEYS}
    head = "elsewhere" if what == "another head" else head_of(queue)
    assert not queue.mend(records("a"), head, 2 if what == "another length" else 1)
    assert {key: queue.client.dump(key) for key in KEYS} == before


def test_places_start_at_one_again_only_when_none_is_taken(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "a", "b")
    claim(queue)
    queue.hand_back()
    assert not queue.status().torn
    queue.client.delete("datasets:state")
    assert queue.claim() == Torn()
    assert queue.mend([], None, 0)
    assert claim(queue).dataset == "a"


def test_holder_that_asks_for_its_turn_is_told_that_keys_are_gone(
    new_queue: Callable[..., Queue],
) -> None:
    """Before anything comes back, which would go behind what is later."""
    queue = new_queue()
    push(queue, "a", "b", "c")
    claim(queue)
    held = claim(new_queue())
    expire(queue, "a")
    queue.client.delete("datasets:order")
    assert queue.claim(held) == Torn()
    assert waiting(queue) == ["c"]


def test_mend_gives_back_what_came_back_before_what_was_claimed_after_it(
    new_queue: Callable[..., Queue],
) -> None:
    queue, other = new_queue(), new_queue()
    push(queue, "z", "b", "a", "y", "x")
    commit(queue, claim(queue))
    claim(queue)
    claim(other)
    queue.hand_back()
    queue.client.delete("datasets:done")
    assert queue.mend(records("z"), "checkpoint-z", 1)
    assert waiting(queue) == ["b", "a", "y", "x"]


def test_mend_without_places_goes_by_name(new_queue: Callable[..., Queue]) -> None:
    queue, other = new_queue(), new_queue()
    push(queue, "b", "a", "y", "x")
    claim(queue)
    claim(other)
    queue.client.delete("datasets:order")
    assert queue.mend([], None, 0)
    assert waiting(queue) == ["a", "b", "y", "x"]


def test_extend_brings_a_dead_letter_back_that_was_learned(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "a")
    queue.refuse(claim(queue), "bad")
    assert queue.extend(records("a"), None)
    assert (queue.status().dead, queue.status().torn) == ([], False)


def test_void_ledger_is_known_until_it_is_replaced(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue()
    assert queue.void_ledger() is None
    queue.replace([], ledger="hash")
    assert queue.void_ledger() == "hash"
    queue.set_void_ledger(None)
    assert queue.void_ledger() is None


def test_replace_forgets_everything_but_never_repeats_a_token(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue(max_attempts=1)
    push(queue, "z", "a", "b")
    commit(queue, claim(queue))
    stale = claim(queue)
    queue.fail(stale, "disk")
    queue.replace(records("x"), ["b", "a"], [DeadLetter("c", "refused", "bad")])
    assert everything(queue) == ["a", "b", "c", "x"]
    status = queue.status()
    assert (status.halted, status.head.dataset, status.committed) == (None, "x", 1)
    fresh = claim(queue)
    assert fresh.dataset == "b"
    assert int(fresh.token.split(".")[0]) > int(stale.token.split(".")[0])


def test_status_changes_nothing(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue()
    push(queue, "a", "b")
    claim(queue)
    before = {key: queue.client.dump(key) for key in KEYS[:-1]}
    queue.status()
    after = {key: queue.client.dump(key) for key in KEYS[:-1]}
    assert before == after


def test_odd_names_survive_every_move(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue()
    odd = 'da"ta\\sets/\n\t ✓ ..'
    push(queue, odd)
    queue.fail(claim(queue), 'quo"te\n')
    queue.refuse(claim(queue), "ünï")
    assert json.dumps(queue.status().dead[0].dataset) == json.dumps(odd)


# --- found by review ------------------------------------------------------------------------------


def test_newest_dataset_that_a_foreign_worker_took_and_lost_does_not_overtake(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "a", "b", "c")
    queue.client.rpoplpush("datasets", "datasets:processing")
    a = claim(queue)
    queue.claim(holding=a)
    commit(queue, a)
    b = claim(queue)
    assert isinstance(queue.claim(), Empty)
    expire(queue, "c")
    commit(queue, b)
    push(queue, "d")
    assert [claim(queue).dataset for _ in range(2)] == ["d", "c"]


def test_dataset_a_foreign_worker_finished_is_not_brought_back(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    push(queue, "a")
    queue.client.rpoplpush("datasets", "datasets:processing")
    first = queue.claim()
    assert isinstance(first, Empty)
    assert first.processing == 1
    queue.client.lrem("datasets:processing", 0, "a")
    again = queue.claim()
    assert isinstance(again, Empty)
    assert again.processing == 1, "its lease says that somebody may still hold it"
    expire(queue, "a")
    last = queue.claim()
    assert isinstance(last, Empty)
    assert (last.processing, everything(queue)) == (0, [])


def test_halt_does_not_stop_what_precedes_it(new_queue: Callable[..., Queue]) -> None:
    first, second = new_queue(max_attempts=1), new_queue(max_attempts=1)
    push(first, "a", "b")
    a, b = claim(first), claim(second)
    second.fail(b, "disk")
    assert first.claim(holding=a) == Turn(Head())
    commit(first, a)
    assert first.claim() == Halted("b", "disk")


def test_skip_of_a_second_copy_leaves_the_commit_alone(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue()
    push(queue, "a")
    lease = claim(queue)
    commit(queue, lease)
    push(queue, "a")
    assert not queue.skip("a", "operator")
    assert queue.status().dead == []
    commit(queue, lease)


def test_name_that_is_no_text_passes_through_every_verb(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue()
    queue.client.rpush("datasets", b"\xff.pkl")
    lease = claim(queue)
    queue.fail(lease, "once")
    queue.refuse(claim(queue), "no text")
    (letter,) = queue.status().dead
    assert letter.dataset == "\udcff.pkl"
    queue.replace([], dead=[letter])
    assert queue.status().dead == [letter]


# --- found by taking guards out, one at a time (make mutate) --------------------------------------


def events(queue: Queue) -> int:
    """Return how often waiting workers were told to look again."""
    return int(queue.client.xlen("datasets:events"))


def end_soon(queue: Queue, dataset: str) -> int:
    """Let a lease end in 5 seconds; return when, in milliseconds since the epoch."""
    soon = int(queue.client.time()[0]) * 1000 + 5000
    queue.client.zadd(LEASES, {dataset: soon})
    return soon


def test_dataset_claimed_again_keeps_its_place(new_queue: Callable[..., Queue]) -> None:
    dead, second, third = new_queue(), new_queue(), new_queue()
    push(dead, "a", "b")
    first = claim(dead)
    b = claim(second)
    expire(dead, "a")
    again = claim(third)
    assert (again.dataset, again.order) == ("a", first.order)
    with pytest.raises(LeaseLost, match="early"):
        commit(second, b)


@pytest.mark.parametrize(
    "verb",
    ["expired", "failed", "handed back", "refused", "pushed", "retried", "skipped", "restored"],
)
def test_whatever_may_let_a_waiting_worker_go_on_wakes_it(
    verb: str, new_queue: Callable[..., Queue]
) -> None:
    queue, other = new_queue(max_attempts=1), new_queue()
    push(queue, "a", "b")
    lease = claim(queue)
    if verb == "retried":
        queue.fail(lease, "disk")
    if verb == "expired":
        expire(queue, "a")
    before = events(queue)
    verbs: dict[str, Callable[[], object]] = {
        "expired": other.claim,
        "failed": lambda: queue.fail(lease, "disk"),
        "handed back": queue.hand_back,
        "refused": lambda: queue.refuse(lease, "bad"),
        "pushed": lambda: queue.push(["c"]),
        "retried": queue.retry,
        "skipped": lambda: queue.skip("a", "operator"),
        "restored": lambda: queue.extend(records("a"), None),
    }
    verbs[verb]()
    assert events(queue) == before + 1


def test_looking_and_handing_back_nothing_wake_nobody(new_queue: Callable[..., Queue]) -> None:
    queue, other = new_queue(), new_queue()
    push(queue, "a", "b")
    claim(queue)
    held = claim(other)
    before = events(queue)
    other.claim(holding=held)
    new_queue().claim()
    new_queue().hand_back()
    assert events(queue) == before, "or workers would wake one another for ever"


def test_commit_wakes_exactly_when_somebody_may_wait(new_queue: Callable[..., Queue]) -> None:
    queue, other = new_queue(), new_queue()

    def wakes(lease: Lease) -> bool:
        before = events(queue)
        commit(queue, lease)
        return events(queue) > before

    push(queue, "a", "b", "c", "d")
    a, b = claim(queue), claim(other)
    assert wakes(a), "b's worker waits for its turn"
    assert not wakes(b), "nobody holds anything, and who wants work finds c"
    assert not wakes(claim(queue))
    assert wakes(claim(queue)), "it was the last: who waits for work may leave"


def test_looking_does_not_lengthen_the_lease_of_another(new_queue: Callable[..., Queue]) -> None:
    dead, holder, idle = new_queue(), new_queue(), new_queue()
    push(dead, "a", "b")
    claim(dead)
    held = claim(holder)
    soon = end_soon(dead, "a")
    holder.claim(holding=held)
    idle.claim()
    assert dead.client.zscore(LEASES, "a") == soon


def test_first_dataset_in_foreign_hands_gets_a_grace_lease_however_much_they_hold(
    new_queue: Callable[..., Queue],
) -> None:
    queue, other = new_queue(), new_queue()
    foreign = [f"foreign-{number}" for number in range(20)]
    push(queue, "a", "b", *foreign)
    claim(queue)
    held = claim(other)
    queue.hand_back()
    for _ in range(1 + len(foreign)):
        queue.client.lmove("datasets", "datasets:processing", "LEFT", "LEFT")
    assert isinstance(other.claim(holding=held), Wait)
    assert queue.client.zscore(LEASES, "a") is not None
    expire(queue, "a")
    assert claim(other, holding=held).dataset == "a"


def test_grace_lease_of_the_first_dataset_is_not_lengthened_by_looking(
    new_queue: Callable[..., Queue],
) -> None:
    queue, other = new_queue(), new_queue()
    push(queue, "a", "b")
    claim(queue)
    held = claim(other)
    soon = end_soon(queue, "a")
    queue.client.lpush("datasets:processing", *(f"foreign-{number}" for number in range(20)))
    other.claim(holding=held)
    assert queue.client.zscore(LEASES, "a") == soon


def test_first_dataset_given_to_a_holder_is_in_work_for_all_to_see(
    new_queue: Callable[..., Queue],
) -> None:
    queue, other = new_queue(), new_queue()
    push(queue, "a", "b")
    claim(queue)
    held = claim(other)
    queue.hand_back()
    assert claim(other, holding=held).dataset == "a"
    assert everything(queue) == ["a", "b"]


def test_repeated_claim_never_returns_the_lease_of_another_request(
    new_queue: Callable[..., Queue],
) -> None:
    queue, other = new_queue(), new_queue()
    push(queue, "a", "b")
    claim(other)
    reply = queue._run("claim", f"{queue.session}.1", 15000, 20, "", "", 1)
    assert reply[1] == "b"


def test_any_number_of_second_copies_is_passed_over(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue()
    push(queue, "a")
    commit(queue, claim(queue))
    push(queue, *["a"] * 1500, "b")
    assert queue.claim() == Wait(0.0, "0-0"), "so that no script runs for long"
    assert claim(queue).dataset == "b"


def test_halt_at_a_dataset_without_a_place_stops_everybody(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue(max_attempts=1)
    push(queue, "a", "b")
    queue.fail(claim(queue), "disk")
    queue.client.zrem("datasets:order", "a")
    assert queue.claim() == Halted("a", "disk")
    queue.retry()
    lease = claim(queue)
    queue.client.hset("datasets:state", mapping={"halted_dataset": "gone", "halted_reason": "?"})
    assert queue.claim(holding=lease) == Halted("gone", "?")


def test_renewed_lease_does_not_run_out(new_queue: Callable[..., Queue]) -> None:
    holder, idle = new_queue(), new_queue()
    push(holder, "a")
    lease = claim(holder)
    expire(holder, "a")
    assert holder.renew([(lease.dataset, lease.token)]) == set()
    assert isinstance(idle.claim(), Empty)
    now = int(holder.client.time()[0]) * 1000
    deadline = holder.client.zscore(LEASES, "a")
    assert deadline is not None
    assert deadline > now + 10_000, "a whole lease of 15 s from now"


def test_push_says_of_each_dataset_why_it_was_not_pushed(
    new_queue: Callable[..., Queue],
) -> None:
    queue = new_queue()
    queue.push(["a", "b", "c"])
    assert queue.push(["a"]) == (3, {"a": "waiting"})
    queue.refuse(claim(queue), "bad")
    queue.skip("b", "operator")
    assert queue.push(["a", "b", "c"]) == (1, {"a": "refused", "b": "skipped", "c": "waiting"})
    assert queue.skip("b", "operator"), "skipping is safe to run twice"
    assert queue.retry(["a", "b", "c"]) == {"a": "refused", "b": "skipped", "c": "not halted"}


def test_halt_outlives_what_happens_to_other_datasets(new_queue: Callable[..., Queue]) -> None:
    queue = new_queue(max_attempts=1)
    push(queue, "a", "b", "c")
    queue.fail(claim(queue), "disk")
    queue.skip("b", "operator")
    queue.extend(records("c"), None)
    assert queue.claim() == Halted("a", "disk")


@pytest.mark.parametrize("how", ["refused", "skipped", "restored"])
def test_dataset_that_is_finished_in_any_way_leaves_no_counters_and_no_halt(
    how: str, new_queue: Callable[..., Queue]
) -> None:
    queue = new_queue(max_attempts=2)
    push(queue, "a", "b")
    for _ in range(1 if how == "refused" else 2):
        queue.fail(claim(queue), "disk")
    ends: dict[str, Callable[[], object]] = {
        "refused": lambda: queue.refuse(claim(queue), "bad"),
        "skipped": lambda: queue.skip("a", "operator"),
        "restored": lambda: queue.extend(records("a"), None),
    }
    ends[how]()
    assert queue.client.exists("datasets:tries") == 0
    assert queue.status().halted is None
    assert claim(queue).dataset == "b"
