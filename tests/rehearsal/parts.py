"""Which tests share a node."""

PARTS = {
    "local": ("test_namespace", "test_node", "test_local_stack", "test_own_trainer"),
    "dev": (
        "test_isolation",
        "test_dev_stack",
        "test_preemption",
        "test_visible_failures",
        "test_destroy",
    ),
}
"""Files of tests that share a node, in order; those of ``dev`` tell the story of one stack."""
