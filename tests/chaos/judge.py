"""The end of each process: whether its exit code is right, and what follows."""

import signal

import exit_codes
import phases

# Of these, processes may die whose job is no longer known.
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)


class Judge:
    def __init__(self, jobs, holds, any_exit_code):
        self.jobs = jobs
        self.holds = holds
        self.any_exit_code = any_exit_code  # if locks do not work, more goes wrong than overlaps

    def process_ended(self, pid, code):
        job, role = self.jobs.remove_process(pid)
        if job:
            job.note(f"{role}, pid {pid}, ended with {code}")
        sent = job.signals | job.command_signals if job else set()
        if code < 0 and -code not in {signal.SIGKILL, *ENDING_SIGNALS} | sent:
            self.jobs.fail(f"{role}, pid {pid}, crashed: signal {-code}", job)
        if role == "orphaned command":
            self.expect(job, code, exit_codes.of_command(job), "an orphaned command")
        elif role == "holder":
            self.expect(job, code, exit_codes.of_holder(job), "a holder")
            job.holder = None
        elif role == "job":
            self.job_ended(job, code)
        if role in ("orphaned command", "holder", "job"):
            self.jobs.forget_if_over(job)

    def job_ended(self, job, code):
        if job.kind == "proxy":
            self.expect(job, code, exit_codes.of_proxy(job), "a proxy")
            self.holds.end(job.hold)
        elif job.kind == "hold":
            self.expect(job, code, exit_codes.of_hold(job), "hold --detach")
            self.holds.detached(job, code)
        else:
            self.expect(job, code, exit_codes.of_job(job), job.kind)
            self.check_events(job, code)

    def check_events(self, job, code):
        if not job.has_events or self.any_exit_code:
            return
        complaint = phases.complaint(job, code, self.jobs.output(job, "events"))
        if complaint:
            self.jobs.fail(complaint, job)

    def expect(self, job, code, allowed, what):
        if code not in allowed and not self.any_exit_code:
            self.jobs.fail(f"{what} ended with {code}; expected one of {sorted(allowed)}", job)
