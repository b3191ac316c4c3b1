"""The dataset that every checkpoint of a chain is tested on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workload.engine.chain import Dataset, read
from workload.errors import DatasetRefused
from workload.share.listing import testing_dataset

if TYPE_CHECKING:
    from workload.engine.chain import ChainState
    from workload.share.store import Share
    from workload.trainers.protocol import Trainer

log = logging.getLogger("workload")


@dataclass(slots=True)
class TestingSet:
    """Reads the testing dataset of a share, again when its file has changed.

    Args:
        share: where it is.
        trainer: prepares it.
    """

    share: Share
    trainer: Trainer[Any, Any]
    _read: tuple[object, Dataset[Any]] | None = None

    __test__ = False  # no test, whatever its name begins with

    def after(self, base: ChainState[Any]) -> tuple[Dataset[Any] | None, str]:
        """Return what the next model of a chain is tested on; or None, and why there is nothing.

        Once the chain has been tested on a dataset, that must be there: every worker decides alike.

        Raises:
            DatasetFailed: it is not visible on the share.
        """
        wanted = base.record.get("testing_dataset")
        if base.record and not wanted:
            return None, "the chain began without a testing dataset"
        path = self.share.root / wanted if wanted else testing_dataset(self.share.root)
        if path is None:
            return None, "there is no testing dataset"
        name = path.relative_to(self.share.root).as_posix()

        def look() -> Dataset[Any]:
            stat = path.stat()
            version = (name, stat.st_mtime_ns, stat.st_size)
            if self._read is None or self._read[0] != version:
                self._read = (version, read(self.trainer, path, name))
            return self._read[1]

        try:
            testing = self.share.wait_until_visible(name, look)
        except DatasetRefused as error:
            log.warning("Testing dataset refused: dataset=%s reason=%s", name, error)
            return None, f"{name} was refused: {error}"
        if base.record and testing.sha256 != base.record["testing_sha256"]:
            return None, f"{name} is not the file the chain began with"
        return testing, ""
