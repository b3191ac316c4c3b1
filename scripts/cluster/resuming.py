"""A transfer that resumes where its connection broke."""

from __future__ import annotations

from scripts.cluster.console import Failure, Line, pause

TRIES = 5
"""How often in a row the connection may break without a file being finished."""


class ResumedTransfer:
    """Files on their way; `attempt` resumes where the last one broke off."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.copied = 0
        self.at = "the share"  # or the file in transfer

    def attempt(self, pod: str) -> None:
        """Copy what is missing.

        Raises:
            Failure: another try can't help.
            ConnectionError: the connection broke.
        """
        raise NotImplementedError

    def persist(self, pod: str) -> None:
        """Repeat the attempt while its connection breaks."""
        tries, before = 0, 0
        while True:
            try:
                return self.attempt(pod)
            except ConnectionError as error:
                tries, before = (tries + 1 if self.copied == before else 1), self.copied
                reason = f"{self.at}: {error}"
                if tries == TRIES:
                    raise Failure(f"{reason}; run this again to resume") from error
                self.line.stay(f"{reason}; resuming")
                pause(min(2 ** (tries - 1), 8))
