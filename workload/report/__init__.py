"""The report of any trainer."""
