"""The trainer `fraud`: card transactions, its model, metrics, report and evaluation."""
