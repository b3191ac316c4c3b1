"""The queue that a command works on."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workload.engine.settings import Settings
    from workload.queue import Queue


@contextmanager
def open_queue(
    share: Path | None, *, mend: bool = False, look: bool = False
) -> Iterator[tuple[Queue, Settings]]:
    """Yield a session with the configured queue, or with that of a local share, and the settings.

    Args:
        share: root of the local share; None for the queue of the settings.
        mend: see `workload.local.share_queue.reach`.
        look: likewise.

    Raises:
        UsageError: a setting is wrong, or no run has used the local share.
        QueueUnavailable: Redis does not answer.
    """
    from workload.engine.settings import Settings
    from workload.local.share_queue import reach
    from workload.queue import Queue, RetryPolicy, connect

    if share is not None:
        with reach(share, mend=mend, look=look) as url:
            os.environ.update(WORKLOAD_SHARE=str(share.resolve()), WORKLOAD_REDIS_URL=url)
            for name in ("REDIS_PASSWORD", "REDIS_PASSWORD_FILE"):
                os.environ.pop(name, None)
            settings = Settings.load()
            yield Queue(connect(url), settings.limits, RetryPolicy(5.0)), settings
        return
    settings = Settings.load()
    password = settings.redis_password.get_secret_value() if settings.redis_password else None
    queue = Queue(connect(settings.redis_url, password), settings.limits, RetryPolicy(5.0))
    queue.verify_server()
    yield queue, settings
