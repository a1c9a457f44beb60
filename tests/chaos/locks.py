"""The locks that the jobs take: their files, their arguments, and the claims on them."""

import os


class Lock:
    """A lock that as many processes may hold at a time as it has slots."""

    def __init__(self, sandbox, name, slots):
        self.name = name
        self.slots = slots
        self.claims = f"{sandbox}/claims/{name}"
        os.makedirs(self.claims)

    def claim(self, shared):
        return f"{self.claims}:{'shared' if shared else self.slots}"


class Pack(Lock):
    def __init__(self, sandbox, name):
        super().__init__(sandbox, name, 1)
        self.path = f"{sandbox}/ws/{name}"
        self.files = [f"{self.path}/.grex-lock"]
        os.makedirs(self.path)

    def arguments(self):
        return [self.path]

    def lock_option(self):
        return ["-l", f"per-pack:{self.path}"]


class Semaphore(Lock):
    def __init__(self, sandbox, slots):
        super().__init__(sandbox, "slots", slots)
        self.path = f"{sandbox}/ws"
        self.files = [f"{self.path}/.grex/.grex.slot-{k}.lock" for k in range(slots)]
        os.makedirs(f"{self.path}/.grex", exist_ok=True)

    def arguments(self):
        return ["-t", "semaphore", "--slots", str(self.slots), self.path]

    def lock_option(self):
        return ["--slots", str(self.slots), "-l", f"semaphore:{self.path}"]


class Locks:
    """Three packs and the semaphore of their workspace."""

    def __init__(self, sandbox, random):
        self.random = random
        self.workspace = f"{sandbox}/ws"
        self.packs = [Pack(sandbox, name) for name in ("app", "doc", "lib")]
        self.semaphore = Semaphore(sandbox, 3)

    def files(self):
        nested = [f"{pack.path}/.grex/.grex-lock" for pack in self.packs]
        return [*nested, *(file for lock in [*self.packs, self.semaphore] for file in lock.files)]

    def choose_packs(self, most=3):
        """Up to `most` packs in any order."""
        return self.random.sample(self.packs, self.random.choice([1, 1, 1, 2, 3]))[:most]

    def choose(self, most):
        """Up to `most` packs in any order, or the semaphore, alone or before them."""
        packs = self.choose_packs(most)
        choice = self.random.random()
        if choice < 0.3:
            return [self.semaphore]
        return [self.semaphore, *packs] if choice < 0.4 and most > 1 else packs

    def arguments_for(self, locks):
        """One of the ways to name these locks on the command line of grex-lock."""
        if locks[0] is self.semaphore and len(locks) > 1:
            return self.semaphore.lock_option() + [lock.path for lock in locks[1:]]
        if len(locks) > 1 and self.random.random() < 0.3:
            return [word for lock in locks for word in lock.lock_option()]
        return locks[0].arguments() + [lock.path for lock in locks[1:]]
