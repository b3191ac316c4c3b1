"""List prices in USD, us-central1, without discounts, credits or tax: the one place for figures.

Read by hand; the pages named below are the authority, and other regions differ.
"""

from __future__ import annotations

READ = {
    "mid 2026": "FILESTORE BASIC_HDD, AUTOPILOT, CLUSTER_HOUR, FREE_TIER_MONTH, IMAGE",
    "2025": "FILESTORE BASIC_SSD, DISK, MACHINE_HOUR, SPOT_SHARE, MEMORYSTORE, NAT",
}
"""When each price was last read."""

SOURCES = {
    "FILESTORE": "https://cloud.google.com/filestore/pricing",
    "AUTOPILOT, CLUSTER, FREE_TIER": "https://cloud.google.com/kubernetes-engine/pricing",
    "IMAGE": "https://cloud.google.com/artifact-registry/pricing",
    "DISK, MACHINE": "https://cloud.google.com/compute/all-pricing",
    "MEMORYSTORE": "https://cloud.google.com/memorystore/docs/redis/pricing",
    "NAT": "https://cloud.google.com/nat/pricing",
}

HOURS_PER_MONTH = 730

FILESTORE_USD_PER_GIB_MONTH = {"BASIC_HDD": 0.16, "BASIC_SSD": 0.30}

AUTOPILOT_CORE_HOUR = 0.0445
AUTOPILOT_GIB_HOUR = 0.0049225
AUTOPILOT_SPOT_CORE_HOUR = 0.0133
AUTOPILOT_SPOT_GIB_HOUR = 0.0014767

CLUSTER_HOUR = 0.10
FREE_TIER_MONTH = 74.40
"""Monthly credit of each billing account, for the management fee of one cluster."""

MACHINE_HOUR = {"e2-standard-2": 0.067006, "e2-standard-4": 0.134012, "e2-standard-8": 0.268024}
SPOT_SHARE = 0.40
"""Spot machines cost at most this share of the on-demand price: the discount is 60 to 91 %."""

DISK_GIB_MONTH = 0.10
"""Balanced persistent disk, what the StorageClass `standard-rwo` makes."""

IMAGE_GIB_MONTH = 0.10

MEMORYSTORE_GIB_HOUR = {"BASIC": 0.049, "STANDARD_HA": 0.054}
"""Capacity class M1, 1 to 4 GiB; larger instances are cheaper per GiB."""

NAT_GATEWAY_HOUR = 0.0014
"""Each virtual machine that uses the gateway, up to 32; traffic is extra."""
