"""Which tests share a node."""

PARTS = {
    "local": (
        "node/test_namespace.py",
        "node/test_node.py",
        "journeys/test_local_stack.py",
        "journeys/test_own_trainer.py",
    ),
    "dev": (
        "journeys/test_isolation.py",
        "journeys/test_dev_stack.py",
        "journeys/test_preemption.py",
        "journeys/test_visible_failures.py",
        "journeys/test_destroy.py",
    ),
}
"""Files of tests that share a node, in order; those of `dev` tell the story of one stack."""
