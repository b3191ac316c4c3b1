"""Addresses of the rehearsal's node, in a network of its own."""

from __future__ import annotations

NAME = "node"

ADDRESS = "192.0.2.10"
"""Of the node; its network is one that documentation may use and nothing else does."""

PREFIX_LENGTH = 24
PODS = "10.244.0.0/24"
SERVICES = "10.96.0.0/16"
