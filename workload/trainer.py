"""The tutorial's trainer class on the streaming learner: one day at a time, for notebooks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workload.engine.chain import ChainState, read, train
from workload.engine.records import checkpoint_name
from workload.errors import UsageError
from workload.fraud.report import text_entry
from workload.fraud.trainer import FraudTrainer
from workload.share.durable import write_atomic

if TYPE_CHECKING:
    from os import PathLike

    from workload.fraud.trainer import FraudModel


class FraudDetectionModelTrainer:
    """Trains on one day's dataset, starting from the previous day's checkpoint.

    Args:
        train_dataset_path: day file to learn; its name carries no meaning here.
        test_dataset_path: day file to test on; a later day than the training day.
        label: label column, 0 genuine and above 0 fraud, such as `TX_FRAUD_SCENARIO`.
        checkpoint_path: checkpoint to start from; None starts untrained.

    Raises:
        UsageError: the checkpoint can't be used.
    """

    def __init__(
        self,
        train_dataset_path: str | PathLike[str],
        test_dataset_path: str | PathLike[str],
        label: str,
        checkpoint_path: str | PathLike[str] | None = None,
    ) -> None:
        self._train_dataset_path = Path(train_dataset_path)
        self._test_dataset_path = Path(test_dataset_path)
        self._trainer = FraudTrainer(label)
        self._trained: ChainState[FraudModel] | None = None
        self._base = ChainState.start(self._trainer)
        if checkpoint_path is not None:
            self._base = ChainState.from_file(self._trainer, Path(checkpoint_path))

    def get_model(self) -> ChainState[FraudModel]:
        """Return the trained model with its record, or the one training starts from."""
        return self._trained or self._base

    def train_and_save(self, output_dir: str | PathLike[str]) -> str:
        """Train on the day, write `model_cpt_<dataset stem>.pkl` and return its path.

        Args:
            output_dir: created when it is not there.

        Raises:
            DatasetRefused: a dataset is malformed, or not after the checkpoint's last day.
            OSError: a file can't be read or written.
        """
        day = read(self._trainer, self._train_dataset_path)
        testing = read(self._trainer, self._test_dataset_path)
        self._trained, content = train(self._trainer, self._base, day, testing=testing)
        path = Path(output_dir) / checkpoint_name(self._train_dataset_path.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
        return str(path)

    def generate_report(self, report_path: str | PathLike[str]) -> None:
        """Append the entry of the day just trained to a text report.

        Raises:
            UsageError: nothing was trained yet.
        """
        if self._trained is None:
            raise UsageError("generate_report: call train_and_save first, it makes the figures")
        entry = text_entry(self._trained.record, generated=datetime.now(UTC))
        with Path(report_path).open("a", encoding="utf-8") as report:
            report.write(entry)
