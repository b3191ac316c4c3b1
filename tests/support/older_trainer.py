"""A trainer's module as it was written for the protocol of an earlier version."""

from __future__ import annotations

from workload.trainers.protocol import Folded

Mine = Folded
