"""Rules as plain functions of a resource; each yields what it finds wrong."""
