"""What a provider made and could not record before it died, `scripts/adopt.sh` takes over."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from endings import finish, kill
from stack_under_test import FIXED_NAMES

if TYPE_CHECKING:
    from fakes.google_api.server import FakeGoogle
    from stack_under_test import StackUnderTest


LOST = {
    "share-filestore": r"/file/v1/.*/instances$",
    "cluster-gke": r"/container/v1/.*/clusters$",
}
"""Resources whose creation is under way when the provider dies, and where they are made."""


def test_what_a_google_provider_made_and_could_not_record_is_adopted(
    stack: StackUnderTest, google: FakeGoogle
) -> None:
    update = stack.start("up", "--yes", "--skip-preview")
    with ExitStack() as made:
        for path in LOST.values():
            made.enter_context(google.waiting_for("POST", path))
        kill("pulumi-resource-gcp", stack.directory)
    output, _ = update.communicate(timeout=120)
    assert update.returncode != 0, output
    adopted: set[str] = set()
    while (refused := stack.up("--skip-preview")).code != 0:
        lost_names = refused.failed - adopted - {"batch-aiml-dev"}  # the stack fails with them
        assert lost_names, refused.output
        assert refused.output.count("already exists") >= len(lost_names)
        for lost in lost_names:
            stack.script("adopt.sh", lost, FIXED_NAMES[lost]).ok()
        adopted |= lost_names
    assert LOST.keys() <= adopted
    finish(stack)
    assert {FIXED_NAMES[name] for name in LOST} <= google.objects().keys()
