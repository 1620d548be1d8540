"""Edges of the dynamic disjunctive graph, from observations of form "graph"."""

from __future__ import annotations

from array_api_compat import array_namespace

from or_envs.core.arrays import Array
from or_envs.job_shop.observations import NODE_FEATURES

_WAITING = NODE_FEATURES.index("waiting")
_BLOCKING = NODE_FEATURES.index("finished, and blocking its machine")
_DOWN = NODE_FEATURES.index("its machine is down")
_STANDS = NODE_FEATURES.index("on its machine")


def edges(nodes: Array, machine: Array, drop_down: bool = False) -> dict[str, Array]:
    """Return dense adjacency matrices, numpy or torch; entry [b, u, v] is an edge from u to v.

    Nodes are numbered job by job, N = J K. Operations that are finished (and do not block their
    machine) have no edges: edges come and go as the run does.

    Parameters
    ----------
    nodes, machine
        Of a batch of observations, (B, J, K, 13) and integers (B, J, K).
    drop_down
        Leave out same-machine edges while the machine is down.

    Returns
    -------
    dict
        bool (B, N, N) each. "successor": from an operation to the next one of its job (transposed:
        the predecessors). "same_machine": both ways between operations on one machine. "hold": from
        the operation that stands on a machine to each that waits for it. "want": from an operation
        that blocks a machine to the one that stands on the machine that its job needs next.
    """
    xp = array_namespace(nodes)
    rows, jobs, operations = machine.shape
    size = jobs * operations
    features = xp.reshape(nodes, (rows, size, nodes.shape[-1]))
    on = xp.reshape(machine, (rows, size))
    alive = on >= 0
    place = xp.arange(size, device=on.device)
    # The machine of the job's next operation; the last ones have none.
    following = xp.concat([on[:, 1:], xp.full_like(on[:, :1], -1)], axis=1)
    last = place % operations == operations - 1
    following = xp.where(last[None, :], xp.full_like(following, -1), following)

    consecutive = (place[:, None] + 1 == place[None, :]) & ~last[:, None]
    both = alive[:, :, None] & alive[:, None, :]
    shared = both & (on[:, :, None] == on[:, None, :])
    waiting, blocking, down, stands = (
        features[:, :, column] > 0.5 for column in (_WAITING, _BLOCKING, _DOWN, _STANDS)
    )
    same = shared & (place[:, None] != place[None, :])[None, :, :]
    return {
        "successor": both & consecutive[None, :, :],
        "same_machine": same & ~down[:, :, None] if drop_down else same,
        "hold": shared & stands[:, :, None] & waiting[:, None, :],
        "want": (
            both
            & blocking[:, :, None]
            & stands[:, None, :]
            & (following[:, :, None] == on[:, None, :])
        ),
    }
