"""What every task shares: when it is retried, and when it counts as done.

One retry layer, this one: it reads `error.retryable` and nothing else. One truth, the receipts: the cache key is the
receipt's key while the work stands, and a new one otherwise, so that Prefect shows Cached when and only when it stands.
"""

import tasks.settings  # noqa: F401, I001 - before prefect

from dataclasses import dataclass
from typing import Any, cast

from prefect import Task
from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.states import Completed

from gzjwst_core.errors import GzJwstError
from gzjwst_core.runs.receipts import Done, cache_key

__all__ = ["RECEIPTED", "UNCACHED", "ReceiptPolicy", "as_state", "should_retry"]


@dataclass
class ReceiptPolicy(CachePolicy):
    """Cache key of a task with the parameters `run` and `work`."""

    def compute_key(
        self,
        task_ctx: TaskRunContext,  # noqa: ARG002 - Prefect's signature
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],  # noqa: ARG002
        **_: Any,
    ) -> str:
        """Return the receipt's key, with a nonce unless the work stands."""
        return cache_key(inputs["run"].folder, inputs["work"])


def should_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again may help: what the error says of itself."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, GzJwstError) and error.retryable


def as_state(done: Done) -> Done:
    """Show a unit whose receipt stood as Cached, also when Prefect's own store has forgotten it.

    A task may return a state with its result inside; to whoever waits for the task it is the result alone.
    """
    if done.fresh:
        return done
    return cast("Done", Completed(name="Cached", message="the receipt stands", data=done))


_RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [2, 10, 30],
    "retry_jitter_factor": 0.3,
    "retry_condition_fn": should_retry,
    "persist_result": True,
    "result_serializer": "json",
}

RECEIPTED: dict[str, Any] = {**_RETRIES, "cache_policy": ReceiptPolicy()}
"""For units with a receipt: `@task(**RECEIPTED)`."""

UNCACHED: dict[str, Any] = {**_RETRIES, "cache_policy": NO_CACHE}
"""For questions to an archive, whose answer may change, and for the mosaic cache, which knows what it holds."""
