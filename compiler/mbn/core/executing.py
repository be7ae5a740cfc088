"""Independent work on the workers of a Dask scheduler.

What enters: the address of a scheduler. What leaves: an executor, as concurrent.futures has them.
Always holds: work of a worker that ends is done anew by another, and each piece gives its result
once; the workers run this version of mbn. A scheduler executes whatever it is sent: who can reach
it runs programs as its workers' user.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import mbn
from mbn.core.errors import ToolError, UsageError
from mbn.core.installing import advice

CONNECT_S = 10
RETRIES = 3  # of a piece whose worker ended under it
HELP = (
    "do the work on the workers of this Dask scheduler (tcp://HOST:8786, or tls://); it executes "
    "whatever it is sent: in trusted networks only, or by TLS"
)


@contextmanager
def executor(scheduler: str) -> Iterator[Executor]:
    """The scheduler's. What was not begun when the context ends is not done. Raises UsageError: no
    scheduler there, no worker, workers of another version; ToolError: distributed is not
    installed."""
    if find_spec("distributed") is None:
        raise ToolError("distributed is not installed", advice=advice("cluster"))
    distributed: Any = import_module("distributed")
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"no scheduler answers: {error}", wanted="tcp://HOST:PORT of one", node=scheduler
        ) from error
    with client:
        _same_version(client, scheduler)
        pool = client.get_executor(pure=False, retries=RETRIES)
        try:
            yield pool
        finally:
            pool.shutdown(wait=False)


def _version() -> str:
    return mbn.__version__


def _same_version(client: Any, scheduler: str) -> None:
    found = client.run(_version, on_error="return")
    if not found:
        raise UsageError(
            "the scheduler has no worker", advice="dask worker ADDRESS", node=scheduler
        )
    for worker, version in found.items():
        if version != mbn.__version__:
            raise UsageError(
                f"its worker {worker} has mbn {version}", wanted=mbn.__version__, node=scheduler
            )
