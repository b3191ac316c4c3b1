"""The dataset that every checkpoint of a chain is tested on."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workload.engine.chain import Dataset, read
from workload.errors import DatasetFailed, DatasetRefused
from workload.share.listing import testing_dataset
from workload.share.store import TESTING, NotVisible

if TYPE_CHECKING:
    from pathlib import Path

    from workload.engine.chain import ChainState
    from workload.share.store import Share
    from workload.trainers.protocol import Trainer

log = logging.getLogger("workload")

_DIRECTORY_SECONDS = 30.0
"""How long NFS may repeat what it first saw of a directory: acdirmin in nfs(5)."""


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

    def after(self, base: ChainState[Any], dataset: str) -> tuple[Dataset[Any] | None, str]:
        """Return what the next model of a chain is tested on; or None, and why there is nothing.

        Once the chain has been tested on a dataset, that must be there: every worker decides alike.

        Args:
            base: the chain so far.
            dataset: the queue item that is learned next.

        Raises:
            DatasetFailed: it is not visible on the share.
        """
        name = base.record.get("testing_dataset")
        if base.record and not name:
            return None, "the chain began without a testing dataset"
        if not name:
            path = self._first_seen(dataset)
            if path is None:
                return None, "there is no testing dataset"
            name = path.relative_to(self.share.root).as_posix()

        def look() -> Dataset[Any]:
            path = self.share.dataset_path(name)
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

    def _first_seen(self, dataset: str) -> Path | None:
        """Return the testing dataset that a chain begins with; None when there is none.

        It is put on the share before the first day is (`share.listing.dataset_files`). So when that
        day has been there for as long as a file may stay invisible, what is not seen is not there;
        only in a younger share it is waited for, until its directory is looked at anew.
        """

        def look() -> Path:
            path = testing_dataset(self.share.root)
            if path is None:
                raise NotVisible("no testing dataset")
            return path

        age = 0.0
        with suppress(OSError):
            # Set by the server, whatever time a copy keeps of its source.
            age = time.time() - self.share.dataset_path(dataset).stat().st_ctime
        longest = self.share.visibility_seconds
        wait = min(max(longest - age, 0.0), longest, _DIRECTORY_SECONDS)
        if wait > 1.0:
            log.info("No testing dataset yet, looking for it for %.0f s", wait)
        with suppress(DatasetFailed):
            return replace(self.share, visibility_seconds=wait).wait_until_visible(TESTING, look)
        return None
