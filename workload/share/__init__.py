"""The directory that all workers share: its files, their names, and ways to copy them."""
