"""The training workload: reads, queues, learns and reports daily transaction datasets."""

from __future__ import annotations

__version__ = "0.1.0"
