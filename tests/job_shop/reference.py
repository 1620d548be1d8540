"""The rules of the job shop a second time, in plain Python, one time unit after the other."""

from itertools import count


class ReferenceShop:
    """One episode.

    ``machine`` and ``duration`` are lists of jobs of any lengths. ``onset`` and ``downtime`` are
    indexed as in ``Shutdowns``: by (job, operation), or, in model "hazard", by (machine, count).
    """

    def __init__(self, machine, duration, num_machines, blocking, model=None, luck=(None, None)):
        self.machine, self.duration, self.blocking, self.model = machine, duration, blocking, model
        self.onset, self.downtime = luck
        self.jobs = [j for j, route in enumerate(machine) if len(route) > 0]
        self.machines = range(num_machines)
        self.time = 0
        self.next = dict.fromkeys(self.jobs, 0)  # operation that the job is in, or its next one
        self.doing = dict.fromkeys(self.jobs, "outside")
        self.ready = dict.fromkeys(self.jobs, 0)
        self.on = dict.fromkeys(self.machines)
        self.ends = {}  # machine -> end of the operation that runs on it
        self.up = dict.fromkeys(self.machines, 0)
        self.idle = dict.fromkeys(self.machines, 0)
        self.failures = dict.fromkeys(self.machines, 0)
        self.start, self.interrupted = {}, set()
        self.waited = 0
        self.deadlock = False
        self.turned = []

    @property
    def over(self):
        return self.deadlock or all(self.doing[j] == "done" for j in self.jobs)

    def needs(self, j):
        return self.machine[j][self.next[j]]

    def is_up(self, m):
        return self.up[m] <= self.time

    def queue(self):
        return [j for j in self.jobs if self.doing[j] in ("outside", "waiting")]

    def loads(self):
        """Jobs that may be loaded."""
        free = [m for m in self.machines if self.on[m] is None and self.is_up(m)]
        return [j for j in self.queue() if self.needs(j) in free]

    def may_wait(self):
        repairs = any(not self.is_up(m) for m in self.machines)
        return bool(self.loads()) and (bool(self.ends) or repairs)

    def load(self, j):
        if self.doing[j] == "waiting" and self.blocking != "none":
            self.on[self.machine[j][self.next[j] - 1]] = None
        self._put(j)
        self._settle(wait=False)

    def wait(self):
        self._settle(wait=True)

    def _put(self, j):
        m, k = self.needs(j), self.next[j]
        self.on[m] = j
        self.doing[j] = "processing"
        self.start[j, k] = self.time
        self.ends[m] = self.time + self.duration[j][k]

    def _settle(self, wait):
        while True:
            while self._end_operations() or self._turn_a_circle():
                pass
            if self.over or (self.loads() and not wait):
                return
            wait = False
            if not self.ends and all(self.is_up(m) for m in self.machines):
                self.deadlock = True
                return
            self._pass_time()

    def _end_operations(self):
        due = [m for m, end in self.ends.items() if end == self.time]
        for m in due:
            j = self.on[m]
            k = self.next[j]
            del self.ends[m]
            self.next[j] += 1
            self.ready[j] = self.time
            last = self.next[j] == len(self.machine[j])
            self.doing[j] = "done" if last else "waiting"
            if last or self.blocking == "none":
                self.on[m] = None
            if self.model == "post_operation":
                self.up[m] = self.time + self.downtime[j][k]
        return bool(due)

    def _turn_a_circle(self):
        """Follow the wishes of the jobs that stand finished on a machine, from each of them."""
        standing = {m: j for m, j in self.on.items() if j is not None and m not in self.ends}
        for first in standing:
            path = [first]
            while path[-1] in standing:
                following = self.needs(standing[path[-1]])
                if following == first:
                    break
                if following in path:
                    path.append(None)
                    break
                path.append(following)
            closed = path[-1] in standing
            allowed = self.blocking == "swap" or len(path) == 1
            if closed and allowed and all(self.is_up(m) for m in path):
                jobs = [standing[m] for m in path]
                for m in path:
                    self.on[m] = None
                for j in jobs:
                    self._put(j)
                if len(jobs) > 1:
                    self.turned.append((self.time, frozenset(jobs)))
                return True
        return False

    def _pass_time(self):
        """Unit by unit until something happens."""
        for _ in count():
            unused = [m for m in self.machines if self.is_up(m) and m not in self.ends]
            self.waited += len(self.queue())
            self.time += 1
            for m in unused:
                self.idle[m] += 1
            happened = any(end == self.time for end in self.ends.values())
            happened |= any(up == self.time for up in self.up.values())
            if self.model == "hazard":
                happened |= self._fail(unused)
            if self.model == "preempt_resume":
                happened |= self._interrupt()
            if happened:
                return

    def _fail(self, unused):
        failed = False
        for m in unused:
            c = self.failures[m]
            if c < len(self.onset[m]) and self.idle[m] == self.onset[m][c]:
                self.up[m] = self.time + self.downtime[m][c]
                self.failures[m] += 1
                self.idle[m] = 0
                failed = True
        return failed

    def _interrupt(self):
        hit = False
        for m in self.ends:
            j = self.on[m]
            o = (j, self.next[j])
            length = self.downtime[o[0]][o[1]]
            due = self.start[o] + self.onset[o[0]][o[1]] == self.time
            if length > 0 and due and o not in self.interrupted:
                self.interrupted.add(o)
                self.ends[m] += length
                self.up[m] = self.time + length
                hit = True
        return hit
