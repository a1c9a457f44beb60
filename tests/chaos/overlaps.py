"""What the claimants report, and the count of overlaps.

A claimant is in from when it has made its claims until it removes them.
"""

from processes import start_time


def note_report(jobs, line):
    """Read one line of a claimant: `in JOB PID`, `out JOB` or `wrong JOB REASON`."""
    what, name, more = line.split(" ", 2)
    job = jobs.find(name)
    job.note(f"reports: {what} {more}")
    if what == "wrong":
        jobs.count["overlaps"] += "together" in more or "lost" in more
        jobs.fail(f"job {name} {more}", job, *(jobs.current.get(word) for word in more.split()))
    if what == "in":
        jobs.count["claims"] += 1
        jobs.enter(job, int(more), start_time(int(more)))
    if what == "out":
        job.is_out = True
