"""One batch of any trainer: workers, the chain of checkpoints, the ledger, and their settings."""
