"""What a worker does about a Redis that may have lost something: of its data, not of its answers.

The connection tells of a restart, and the ledger of all else: nothing is learned on a chain that
is behind it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workload.engine.checkpoints import REBUILD
from workload.engine.ledger import LEDGER_FILE, committed, last_line
from workload.engine.reconcile import reconcile
from workload.errors import ChainForgotten, UsageError, WorkloadError
from workload.share.durable import take_turns
from workload.share.listing import training_datasets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workload.engine.chain import ChainState
    from workload.queue import Queue
    from workload.share.store import Share

log = logging.getLogger("workload")

_PLACE = ("order", "dataset", "date", "sha256", "base")
"""What says where in the chain a checkpoint is."""


@dataclass(slots=True)
class Recovery:
    """Brings Redis and the share together whenever one may be behind.

    Attributes:
        due: whether Redis may have lost something since the last time.
        lost: whether it ever had: datasets that were only queued may be gone.
    """

    queue: Queue
    share: Share
    due: bool = True
    lost: bool = False

    def run(self) -> int:
        """Give Redis what only the files know, if that is due; return the number of commits.

        Raises:
            UsageError: see `reconcile`.
        """
        if not self.due:
            return 0
        self.due = False  # Redis may go away once more meanwhile
        try:
            restored = reconcile(self.queue, self.share)
        except WorkloadError:
            self.due = True
            raise
        if restored:
            self.lost = True
            log.warning("Redis had lost commits, restored from the ledger: commits=%d", restored)
        return restored

    def require_head(self, base: ChainState[Any]) -> None:
        """Check that a chain may be continued at `base`, which Redis gives as its head.

        Raises:
            ChainForgotten: the ledger proves more, or another one, or Redis another last commit.
            UsageError: the checkpoint is not what the last commit says.
        """
        last = [commit.record for commit in committed(self.queue, -1)]
        if [each["checkpoint"] for each in last] != ([base.checkpoint] if base.checkpoint else []):
            raise ChainForgotten("the head of the chain is not its last commit")
        if any(last[0][field] != base.record[field] for field in _PLACE if last):
            raise UsageError(
                f"{last[0]['dataset']}: its commit in Redis is not its checkpoint's; {REBUILD}"
            )
        path = self.share.output / LEDGER_FILE
        take_turns(path)  # who looked at Redis as it was before must look again
        line = last_line(path)
        order = base.record.get("order", 0)
        ahead = line and line["order"] >= order and line["checkpoint"] != base.checkpoint
        if ahead or self.run():
            raise ChainForgotten("Redis came back older than the ledger")

    def chain_is_there(self) -> bool:
        """Return whether the ledger proves a chain."""
        return last_line(self.share.output / LEDGER_FILE) is not None

    def unqueued(self, known: Iterable[str]) -> int:
        """Return how many datasets are neither learned nor queued since Redis lost its queue.

        Args:
            known: those that are learned or dead letters.
        """
        if not self.lost:
            return 0
        return len(set(training_datasets(self.share.root)).difference(known))
