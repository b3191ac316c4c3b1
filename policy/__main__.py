"""The policy pack: every rule, its name and what it guards; run with `--policy-pack policy`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from pulumi_policy import EnforcementLevel, PolicyPack

from policy.pack import POLICIES

PolicyPack("batch-aiml", POLICIES, enforcement_level=EnforcementLevel.MANDATORY)
