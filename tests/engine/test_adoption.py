"""What a provider made and could not record before it died, ``scripts/adopt.sh`` takes over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from endings import finish, kill
from stack import FIXED_NAMES

if TYPE_CHECKING:
    from google_api.server import FakeGoogle
    from stack import StackUnderTest


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/file/v1/.*/instances$", "share-filestore"),
        ("/container/v1/.*/clusters$", "cluster-gke"),
    ],
)
def test_what_a_google_provider_made_and_could_not_record_is_adopted(
    stack: StackUnderTest, google: FakeGoogle, path: str, name: str
) -> None:
    update = stack.start("up", "--yes", "--skip-preview")
    with google.waiting_for("POST", path):
        kill("pulumi-resource-gcp", stack.directory)
    output, _ = update.communicate(timeout=120)
    assert update.returncode != 0, output
    refused = stack.up("--skip-preview")  # other creations were under way, too
    lost_names = refused.failed - {"batch-aiml-dev"}  # the stack as a whole fails with them
    assert name in lost_names, refused.output
    assert refused.output.count("already exists") >= len(lost_names)
    for lost in lost_names:
        stack.script("adopt.sh", lost, FIXED_NAMES[lost]).ok()
    finish(stack)
    assert FIXED_NAMES[name] in google.objects()
    stack.run("destroy", "--yes", "--skip-preview").ok()
