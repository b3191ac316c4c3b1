"""Measurements of this project beside references, in one run; see `README.md` here.

Nothing of the product imports this package.
"""
