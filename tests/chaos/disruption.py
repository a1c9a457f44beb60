"""What is done to the jobs at random: SIGKILL, SIGTERM, and SIGSTOP with a SIGCONT some time later."""

import signal
import time

from processes import send_signal, start_time


class Disruption:
    def __init__(self, random, jobs):
        self.random = random
        self.jobs = jobs
        self.stopped = []  # (when to continue, pid, start time)

    def victims(self):
        """All that can be signalled, as (job, role, pid, start time if known)."""
        victims = []
        for pid, (job, role) in self.jobs.processes.items():
            if role in ("job", "holder") and job.kind != "proxy":
                victims.append((job, role, pid, None))
        for job in self.jobs.current.values():
            if job.command_pid and job.kind != "proxy" and job.command_pid != job.pid and not job.is_out:
                victims.append((job, "command", job.command_pid, job.command_start))
        return victims

    def signals_for(self, job, role):
        if job.kind == "release":
            return [signal.SIGSTOP]
        if role != "holder":
            return [signal.SIGSTOP, signal.SIGSTOP, signal.SIGKILL, signal.SIGTERM]
        # After SIGTERM a holder releases its locks while its proxy still claims them.
        # And `release` could end the hold that comes next.
        return [signal.SIGSTOP] if job.ending == "release" else [signal.SIGSTOP, signal.SIGKILL]

    def signal_one(self):
        victims = self.victims()
        if not victims:
            return
        job, role, pid, started = self.random.choice(victims)
        started = started or start_time(pid)  # a child that is not reaped yet
        number = self.random.choice(self.signals_for(job, role))
        if not send_signal(pid, started, number):
            return
        job.note(f"{number.name} to {role}, pid {pid}")
        self.jobs.count[number.name] += 1
        if number == signal.SIGSTOP:
            self.stopped.append((time.monotonic() + self.random.expovariate(1 / 0.01), pid, started))
        else:
            (job.command_signals if role == "command" else job.signals).add(number)

    def times_to_continue(self):
        """The times at which stopped processes will be continued."""
        return [when for when, _, _ in self.stopped]

    def continue_stopped(self, all_of_them=False):
        now = time.monotonic()
        due = [entry for entry in self.stopped if all_of_them or entry[0] <= now]
        self.stopped = [entry for entry in self.stopped if entry not in due]
        for _, pid, started in due:
            if send_signal(pid, started, signal.SIGCONT):
                self.jobs.count["SIGCONT"] += 1
