"""What the agent sees of a job shop: tokens of jobs, or nodes of operations. Compiled."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np

from or_envs.job_shop.kernels import (
    DONE,
    NO_BLOCKING,
    OUTSIDE,
    PROCESSING,
    WAITING,
    kernel,
    loadable,
    processing,
    row_of,
    wanted,
)

#: Columns of the observation "jobs". Times are in units of the instance's longest duration, queues
#: in its jobs; the next operation is the one after that which runs.
JOB_FEATURES = (
    "done, or no job at all",
    "processing",
    "between two operations",
    "outside the shop",
    "time left of the running operation, with the repair if it is interrupted",
    "work left, in units of half the longest duration times the most operations of a job",
    "operations left, as a share of the most operations of a job",
    "time since it became ready, while it waits",
    "queue at the machine that it occupies",
    "duration of the next operation",
    "queue at the next machine",
    "next machine is empty",
    "time left of the operation on the next machine",
    "next machine is held by a job that has finished there",
    "time left of the repair of the next machine",
    "queue at the machine after next",
    "machine after next is empty",
    "time left of the operation on the machine after next",
    "duration of the operation after next",
    "share of machines occupied",
    "jobs in the chain ahead: those that must move before it can, as a share of the machines",
    "would close a circle: a chain leads from where it goes then back to where it is then",
    "work left on the machine that it occupies, in units of half the longest duration times jobs",
    "work left on the next machine",
    "work left on the machine after next",
    "time until the chain ahead of the next machine moves",
    "time until the chain ahead of the machine after next moves",
    "jobs in the chain ahead of the machine after next",
    "machine after next is held by a job that has finished there",
    "duration of the third operation",
    "work left on the third machine",
    "time until the chain ahead of the third machine moves",
    "third machine is empty",
)
#: Columns of the observation "graph", for each operation that is not finished or blocks a machine.
NODE_FEATURES = (
    "not ready",
    "waiting",
    "processing",
    "finished, and blocking its machine",
    "duration",
    "work of the job up to and with this operation, as a share of all",
    "operations from this one on, as a share of the most operations of a job",
    "time since it became ready, while it waits",
    "time left, with the repair if it is interrupted; -1 if it does not run",
    "its machine is down",
    "time left of the repair of its machine",
    "may be loaded now",
    "on its machine",
)
#: Times above this many longest durations look the same.
CLIP = 5.0


@kernel
def _sizes(shop):
    """Longest duration, jobs, most operations of a job, and machines of one instance."""
    longest, jobs, most, machines = 1, 0, 1, 1
    for j in range(len(shop.status)):
        count = shop.num_operations[j]
        jobs += count > 0
        most = max(most, count)
        for k in range(count):
            longest = max(longest, shop.duration[j, k])
            machines = max(machines, shop.machine[j, k] + 1)
    return longest, jobs, most, machines


@kernel
def _goes_to(shop, j):
    """Machine that job j needs after the operation that runs, or next if none does; -1: none."""
    k = shop.operation[j] + (shop.status[j] == PROCESSING)
    return shop.machine[j, k] if k < shop.num_operations[j] else -1


@kernel
def _chain(shop, m):
    """Jobs that stand one before the other in the way onto machine m."""
    length = 0
    while length < len(shop.holder) and shop.holder[m] >= 0:
        length += 1
        j = shop.holder[m]
        if shop.status[j] == PROCESSING:
            break
        m = wanted(shop, j)
    return length


@kernel
def _moves(shop, m, left):
    """Time left of the operation that the way onto machine m waits for; 0 if it waits for none."""
    for _ in range(len(shop.holder)):
        if shop.holder[m] < 0:
            return np.float32(0.0)
        j = shop.holder[m]
        if shop.status[j] == PROCESSING:
            return left[m]
        m = wanted(shop, j)
    return np.float32(0.0)


@kernel
def _closes(shop, here, there):
    """Whether the jobs on the way from machine ``there`` lead back to machine ``here``."""
    for _ in range(len(shop.holder)):
        if there == here:
            return True
        if there < 0 or shop.holder[there] < 0:
            return False
        there = _goes_to(shop, shop.holder[there])
    return False


@kernel
def see_jobs(batch, clock, blocking, scratch, tokens):
    """Write the tokens (B, J, len(JOB_FEATURES)), all 0 before; overwrites ``scratch`` (4, M)."""
    rows, jobs = batch.status.shape
    machines = batch.holder.shape[1]
    queue, left, repair, load = scratch[0], scratch[1], scratch[2], scratch[3]
    for b in range(rows):
        shop = row_of(batch, b)
        now = clock[b]
        longest, num_jobs, most, num_machines = _sizes(shop)
        per_time = np.float32(1.0 / longest)
        per_job = np.float32(1.0 / num_jobs)
        per_operation = np.float32(1.0 / most)
        occupied = 0
        for m in range(machines):
            queue[m] = 0.0
            load[m] = 0.0
            left[m] = 0.0
            occupied += shop.holder[m] >= 0
            if processing(shop, m):
                left[m] = min((shop.finish[m] - now) * per_time, CLIP)
            repair[m] = min(max(shop.up_at[m] - now, 0) * per_time, CLIP)
        per_work = 2.0 * per_time * per_job
        for j in range(jobs):
            status = shop.status[j]
            if status in (OUTSIDE, WAITING):
                queue[wanted(shop, j)] += per_job
            if status != DONE:
                k = shop.operation[j]
                if status == PROCESSING:
                    m = shop.machine[j, k]
                    load[m] += (shop.finish[m] - now) * per_work
                for later in range(k + (status == PROCESSING), shop.num_operations[j]):
                    load[shop.machine[j, later]] += shop.duration[j, later] * per_work
        share = np.float32(occupied / num_machines)
        for j in range(jobs):
            token = tokens[b, j]
            status = shop.status[j]
            if status == DONE:
                token[0] = 1.0
                continue
            k = shop.operation[j]
            count = shop.num_operations[j]
            here = -1
            work = 0
            for later in range(k + (status == PROCESSING), count):
                work += shop.duration[j, later]
            if status == PROCESSING:
                token[1] = 1.0
                here = shop.machine[j, k]
                token[4] = left[here]
                work += shop.finish[here] - now
            else:
                token[2 if status == WAITING else 3] = 1.0
                token[7] = min((now - shop.ready[j]) * per_time, CLIP)
                if status == WAITING and blocking != NO_BLOCKING:
                    here = shop.machine[j, k - 1]
            token[5] = min(work * 2.0 * per_time * per_operation, CLIP)
            token[6] = (count - k) * per_operation
            if here >= 0:
                token[8] = queue[here]
                token[22] = min(load[here], CLIP)
            token[19] = share
            k += status == PROCESSING
            if k < count:
                m = shop.machine[j, k]
                token[9] = shop.duration[j, k] * per_time
                token[10] = queue[m]
                token[11] = shop.holder[m] < 0
                token[12] = left[m]
                token[13] = shop.holder[m] >= 0 and not processing(shop, m)
                token[14] = repair[m]
                token[23] = min(load[m], CLIP)
                token[25] = _moves(shop, m, left)
                if status != PROCESSING:
                    token[20] = _chain(shop, m) / num_machines
            if k + 1 < count:
                m = shop.machine[j, k + 1]
                token[15] = queue[m]
                token[16] = shop.holder[m] < 0
                token[17] = left[m]
                token[18] = shop.duration[j, k + 1] * per_time
                token[24] = min(load[m], CLIP)
                token[26] = _moves(shop, m, left)
                token[27] = _chain(shop, m) / num_machines
                token[28] = shop.holder[m] >= 0 and not processing(shop, m)
            if k + 2 < count:
                m = shop.machine[j, k + 2]
                token[29] = shop.duration[j, k + 2] * per_time
                token[30] = min(load[m], CLIP)
                token[31] = _moves(shop, m, left)
                token[32] = shop.holder[m] < 0
            # Where the job is once it is loaded, and where it goes from there.
            if status == PROCESSING:
                token[21] = k < count and _closes(shop, here, shop.machine[j, k])
            else:
                token[21] = k + 1 < count and _closes(
                    shop, shop.machine[j, k], shop.machine[j, k + 1]
                )


@kernel
def see_graph(batch, clock, blocking, nodes, machine):
    """Write nodes (B, J, K, len(NODE_FEATURES)), all 0 before, and machines (B, J, K), all -1."""
    rows, jobs = batch.status.shape
    for b in range(rows):
        shop = row_of(batch, b)
        now = clock[b]
        longest, _, most, _ = _sizes(shop)
        per_time = np.float32(1.0 / longest)
        for j in range(jobs):
            status = shop.status[j]
            if status == DONE:
                continue
            count = shop.num_operations[j]
            total = 0
            for k in range(count):
                total += shop.duration[j, k]
            blocks = status == WAITING and blocking != NO_BLOCKING
            done = 0
            for k in range(count):
                done += shop.duration[j, k]
                current = shop.operation[j]
                if k < current - blocks:
                    continue
                m = shop.machine[j, k]
                node = nodes[b, j, k]
                machine[b, j, k] = m
                node[4] = shop.duration[j, k] * per_time
                node[5] = done / total if total > 0 else 1.0
                node[6] = (count - k) / most
                node[8] = -1.0
                node[9] = shop.up_at[m] > now
                node[10] = min(max(shop.up_at[m] - now, 0) * per_time, CLIP)
                if k < current:
                    node[3] = 1.0
                    node[12] = 1.0
                elif k > current:
                    node[0] = 1.0
                elif status == PROCESSING:
                    node[2] = 1.0
                    node[8] = min((shop.finish[m] - now) * per_time, CLIP)
                    node[12] = 1.0
                else:
                    node[1] = 1.0
                    node[7] = min((now - shop.ready[j]) * per_time, CLIP)
                    node[11] = loadable(shop, j, now)
