"""Which exit codes fit what was done to a process. Those of signals are negative."""

import signal

BUSY, OUT_OF_ORDER = 75, 76
HOLDER_GONE, OVERLAP_FOUND = 3, 4  # exit codes of the claimant


def exit_codes_of(signals):
    """The exit codes by which a process reports these signals."""
    return {128 + number for number in signals if number != signal.SIGSTOP}


def of_command(job):
    """A command that has outlived its parent."""
    forwarded = job.signals | (job.shell_signals if job.shell_forwards else set())
    killed = {-number for number in job.command_signals | forwarded - {signal.SIGKILL}}
    return killed | ({job.command_code} if job.is_out else set())


def of_holder(job):
    allowed = {-signal.SIGKILL} if signal.SIGKILL in job.signals else set()
    if job.end_requested:
        allowed.add(-signal.SIGKILL if job.ending == "kill" else 0)
    return allowed


def of_proxy(job):
    if job.is_out:
        return {job.command_code}
    return {HOLDER_GONE} if signal.SIGKILL in job.hold.signals else set()


def of_hold(job):
    """`hold --detach`, which ends when its holder runs in the background."""
    allowed = {-number for number in job.signals} | {0}
    if signal.SIGTERM in job.signals:
        allowed.add(128 + signal.SIGTERM)
    if job.may_be_busy:
        allowed.add(BUSY)
    return allowed


def of_job(job):
    """Every other kind of job."""
    allowed = {-number for number in job.signals}
    if job.kind in ("run", "wait", "hold --for") or job.kind == "run -F" and not job.command_pid:
        # A signal ended its wait, or its command.
        allowed |= exit_codes_of(job.signals - {signal.SIGKILL})
    if job.kind in ("wait", "status", "probe", "release", "hold --for"):
        allowed.add(0)
    if job.may_be_refused and not job.command_pid:
        allowed |= {BUSY, OUT_OF_ORDER}
    if job.may_be_busy and not job.command_pid:
        allowed.add(BUSY)
    if job.command_pid and job.kind in ("run", "flock"):
        allowed |= exit_codes_of(job.command_signals | job.shell_signals)
    if job.command_pid and job.kind == "run":
        # Only SIGKILL ends a wrapper before its command.
        allowed = {code for code in allowed if code >= 0 or -code == signal.SIGKILL}
    if job.is_out:
        allowed.add(job.command_code)
    if job.kind == "unlocked":
        allowed.add(OVERLAP_FOUND)
    return allowed
