"""Reading must not run away from a chain of scans: what is read and not yet scanned lies in memory.

Dask gives a free worker whatever can be read, and reads of a chain can all be done at once while its scans wait for
each other; no priority changes that. So reading partition i waits for the scan of partition i - k. That is an edge from
a task that comes late to one that comes early, which no expression of Dask's can have; it is drawn into the graph.
"""

# Dask is typed in part only.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dask._task_spec import Alias, GraphNode, Task, TaskRef
from dask.core import toposort
from dask.system import CPU_COUNT
from dask.tokenize import tokenize
from dask.utils import key_split

Graph = dict[Any, GraphNode]

READS_A_THREAD = 2
"""How many partitions are read ahead: one that is at work and one that is done, of every thread."""


def read_ahead() -> int:
    """Return how many partitions may be read ahead of the scans on the cluster of this session, or on this machine."""
    from distributed import default_client

    try:
        threads = default_client().scheduler_info(n_workers=1)["total_threads"]
    except ValueError:  # no cluster: Dask's threads, of which it makes one a core
        threads = 0
    return READS_A_THREAD * int(threads or CPU_COUNT)


def hold_back(
    graph: Graph, parts: Sequence[Any], gates: Sequence[TaskRef | None], token: str
) -> tuple[Graph, list[Any]]:
    """Return the tasks that make partitions, each partition's first ones waiting for its gate, and their keys.

    Parameters
    ----------
    graph : dict
        What makes the partitions.
    parts : sequence of keys
        The partitions, in the order in which they are scanned.
    gates : sequence of TaskRef or None
        What each partition waits for. It must need none but earlier partitions; then no task waits for itself.
    token : str
        Goes into the keys of tasks that change: under their own, Dask may know them already, without the gate.
    """
    first: dict[Any, int] = {}  # the first partition that needs a task
    for number, part in enumerate(parts):
        stack = [part]
        while stack:
            key = stack.pop()
            if key in graph and key not in first:
                first[key] = number
                stack.extend(graph[key].dependencies)
    needed = {key: graph[key].dependencies & first.keys() for key in first}
    result: Graph = {}
    renamed: dict[Any, Any] = {}
    for key in toposort(needed, dependencies=needed):
        task = graph[key]
        gate = gates[first[key]]
        # An alias without a task is data that is in the cluster's memory already.
        if (isinstance(task, Alias) and not needed[key]) or any(first[k] == first[key] for k in needed[key]):
            gate = None
        changed = {k: renamed[k] for k in needed[key] if k in renamed}
        if gate is None and not changed:
            result[key] = task
            continue
        new = renamed[key] = _key(key, token)
        if isinstance(task, Alias):
            target = changed.get(task.target, task.target)
            task = Alias(new, target)
        else:
            task = task.substitute(changed, key=new)
        result[new] = task if gate is None else Task(new, after, gate, task)
    return result, [renamed.get(part, part) for part in parts]


def after(gate: None, value: Any) -> Any:
    """Return a value that was made when the gate was open."""
    return value


def _key(key: Any, token: str) -> Any:
    name, *place = key if isinstance(key, tuple) else (key,)
    new = f"{key_split(name)}-{tokenize(name, token)}"
    return (new, *place) if isinstance(key, tuple) else new
