"""A trainer's module that imports what an earlier version had elsewhere."""

from __future__ import annotations

from workload.dataset_file import DatasetFile  # type: ignore[import-not-found]

Mine = DatasetFile
