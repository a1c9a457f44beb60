"""What is done to the jobs at random: SIGKILL, SIGTERM, SIGSTOP with a SIGCONT some time later, and planned signals."""

import signal
import time

from processes import send_signal, start_time


class Disruption:
    def __init__(self, random, jobs):
        self.random = random
        self.jobs = jobs
        self.stopped = []  # (when to continue, pid, start time)
        self.planned = []  # (when to send, job, signal)

    def victims(self):
        """All that can be signalled, as (job, role, pid, start time if known)."""
        victims = []
        for pid, (job, role) in self.jobs.processes.items():
            if role in ("job", "holder") and job.kind != "proxy":
                victims.append((job, role, pid, None))
        for job in self.jobs.current.values():
            if job.command_pid and job.kind != "proxy" and job.command_pid != job.pid and not job.is_out:
                victims.append((job, "command", job.command_pid, job.command_start))
                if job.shell:
                    victims.append((job, "shell", *job.shell))
        return victims

    def signals_for(self, job, role):
        if job.kind == "release":
            return [signal.SIGSTOP]
        if role == "shell" and job.shell_catches_sigterm:
            # If it is not grex-lock that has sent it SIGTERM, it ends by itself, and
            # leaves its command behind on purpose.
            return [signal.SIGSTOP, signal.SIGKILL]
        if role != "holder":
            return [signal.SIGSTOP, signal.SIGSTOP, signal.SIGKILL, signal.SIGTERM]
        # After SIGTERM a holder releases its locks while its proxy still claims them.
        # And `release` could end the hold that comes next.
        return [signal.SIGSTOP] if job.ending == "release" else [signal.SIGSTOP, signal.SIGKILL]

    def signal_one(self):
        victims = self.victims()
        if self.random.random() < 0.4:
            # Only the end of these can leave work without its lock.
            frail = [v for v in victims if v[0].is_chain or v[0].shell and v[1] != "command"]
            victims = frail or victims
        if victims:
            job, role, pid, started = self.random.choice(victims)
            number = self.random.choice(self.signals_for(job, role))
            self.signal(job, role, pid, started or start_time(pid), number)  # a child is not reaped yet

    def signal(self, job, role, pid, started, number):
        if not send_signal(pid, started, number):
            return
        job.note(f"{number.name} to {role}, pid {pid}")
        self.jobs.count[number.name] += 1
        if number == signal.SIGSTOP:
            self.stopped.append((time.monotonic() + self.random.expovariate(1 / 0.01), pid, started))
        else:
            by_role = {"command": job.command_signals, "shell": job.shell_signals}
            by_role.get(role, job.signals).add(number)

    def signal_later(self, job, number, delay):
        """Plan a signal to the process of the job, which has just been started."""
        self.planned.append((time.monotonic() + delay, job, number))

    def send_planned(self):
        now = time.monotonic()
        due = [plan for plan in self.planned if plan[0] <= now]
        self.planned = [plan for plan in self.planned if plan not in due]
        for _, job, number in due:
            if self.jobs.processes.get(job.pid, (None,))[0] is job:
                self.signal(job, "job", job.pid, start_time(job.pid), number)

    def times(self):
        """The times at which stopped processes will be continued, and planned signals sent."""
        return [entry[0] for entry in self.stopped + self.planned]

    def continue_stopped(self, all_of_them=False):
        now = time.monotonic()
        due = [entry for entry in self.stopped if all_of_them or entry[0] <= now]
        self.stopped = [entry for entry in self.stopped if entry not in due]
        for _, pid, started in due:
            if send_signal(pid, started, signal.SIGCONT):
                self.jobs.count["SIGCONT"] += 1
