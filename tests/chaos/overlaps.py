"""What the claimants report, and the count of overlaps.

A claimant is in from when it has made its claims until it removes them.
"""

def note_report(jobs, line):
    """Read one line of a claimant: `stack JOB STACK`, `in JOB PID PARENT`, `out JOB` or `wrong JOB REASON`."""
    what, name, more = line.split(" ", 2)
    job = jobs.find(name)
    if what == "stack":
        jobs.note_stack(job, more)
        return
    job.note(f"reports: {what} {more}")
    if what == "wrong":
        jobs.count["overlaps"] += "together" in more or "lost" in more
        jobs.fail(f"job {name} {more}", job, *(jobs.current.get(word) for word in more.split()))
    if what == "in":
        jobs.count["claims"] += 1
        pid, parent = more.split()
        jobs.enter(job, int(pid), int(parent))
    if what == "out":
        jobs.leave(job)
