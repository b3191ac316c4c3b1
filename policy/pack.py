"""The rules by name, as policies of the Pulumi engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

from policy.rules import declared, foundations, pods, redis
from policy.rules.resource import Resource, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pulumi_policy import ReportViolation

    Rule = Callable[[Resource], Iterator[str]]

RULES: dict[str, tuple[str, Rule]] = {
    "declared-types-only": (
        "Nothing is declared but the types of resources that the stack consists of.",
        declared.declared_types_only,
    ),
    "declared-bindings-only": (
        "Roles are given to the nodes' service account alone, and only those that nodes need.",
        declared.declared_bindings_only,
    ),
    "no-public-endpoints": (
        "Nothing is reachable from outside but the control plane's IAM-guarded DNS endpoint.",
        foundations.no_public_endpoints,
    ),
    "no-identity-for-pods": (
        "Pods act as nobody, in the cluster or on Google Cloud.",
        foundations.no_identity_for_pods,
    ),
    "volumes-of-the-share-only": (
        "Volumes are the share's: Filestore, or a directory of a node that is not the node's own.",
        foundations.volumes_of_the_share_only,
    ),
    "restricted-namespaces": (
        "Namespaces enforce the restricted Pod Security Standard, and everything is in one.",
        declared.restricted_namespaces,
    ),
    "restricted-pods": (
        "Pods meet the restricted Pod Security Standard.",
        pods.restricted,
    ),
    "images-by-digest": (
        "Images are pinned by digest, or never pulled.",
        pods.by_digest,
    ),
    "requests-equal-limits": (
        "Containers request what they are limited to, ephemeral storage included.",
        pods.requests_equal_limits,
    ),
    "redis-not-on-spot": (
        "Redis does not run on Spot machines.",
        redis.redis_not_on_spot,
    ),
    "redis-has-password": (
        "Redis in the cluster asks for a password that is not empty.",
        redis.redis_has_password,
    ),
    "managed-redis-is-guarded": (
        "Managed Redis asks for a password and encrypts its traffic.",
        redis.managed_redis_is_guarded,
    ),
    "labelled": (
        "Resources carry the stack's labels.",
        foundations.labelled,
    ),
    "production-is-protected": (
        "Share and cluster of a stack marked production are protected.",
        foundations.production_is_protected,
    ),
}
"""Name of each rule without settings, what it demands, and the rule."""

BUDGET = "share-within-budget"
BUDGET_DEFAULTS = {"max_capacity_gib": 4096, "max_monthly_usd": 1000}


def violations(resource: Resource, limits: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Yield what breaks a rule: the rule's name, and what it says.

    Args:
        resource: what is declared.
        limits: of the share, as BUDGET_DEFAULTS.
    """
    for name, (_, rule) in RULES.items():
        for violation in rule(resource):
            yield name, violation
    for violation in foundations.share_within_budget(resource, limits):
        yield BUDGET, violation


def _resource(args: ResourceValidationArgs) -> Resource:
    properties = plain(args.props)
    return Resource(args.resource_type, args.name, properties, protect=args.opts.protect)


def _of_the_engine(args: ResourceValidationArgs) -> bool:
    """Return whether the engine itself made it: the stack, or a provider that nobody declared."""
    return args.resource_type == "pulumi:pulumi:Stack" or (
        args.resource_type.startswith("pulumi:providers:") and args.name.startswith("default")
    )


def _policy(name: str, description: str, rule: Rule) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for violation in () if _of_the_engine(args) else rule(_resource(args)):
            report(f"{args.name}: {violation}", args.urn)

    return ResourceValidationPolicy(
        name=name,
        description=description,
        validate=validate,
        enforcement_level=EnforcementLevel.MANDATORY,
    )


def _budget() -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        config: Mapping[str, Any] = {**BUDGET_DEFAULTS, **args.get_config()}
        for violation in foundations.share_within_budget(_resource(args), config):
            report(f"{args.name}: {violation}", args.urn)

    return ResourceValidationPolicy(
        name=BUDGET,
        description="The share stays within its size and its monthly price.",
        validate=validate,
        enforcement_level=EnforcementLevel.MANDATORY,
        config_schema=PolicyConfigSchema(
            properties={
                name: {"type": "number", "minimum": 0, "default": default}
                for name, default in BUDGET_DEFAULTS.items()
            }
        ),
    )


POLICIES = [*(_policy(name, *rule) for name, rule in RULES.items()), _budget()]
