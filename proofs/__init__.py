"""Proofs that the queue loses nothing: mutation, model, chaos; and a fuzz (`docs/proofs.md`)."""
