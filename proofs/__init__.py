"""Proofs that the queue loses nothing: mutation, model, chaos (`docs/proofs.md`)."""
