"""What the scripts do in a cluster beyond a line of bash; needs no package but the workload's own.

Runs on the operator's python3, so only modules of the workload that import none are used.
"""
