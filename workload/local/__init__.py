"""The batch on one machine: its own Redis, worker processes and progress display."""
