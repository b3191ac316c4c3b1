"""The stack's components: one part of the platform a file, wired together in `__main__.py`."""
