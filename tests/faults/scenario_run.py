"""One run of a scenario under strace(1): from a fresh workspace until no process and no lock is left."""

import os
import select
from collections import namedtuple

import adopted
from traced_run import HANG, TracedRun
from workspace import Workspace
from wrong import Wrong

# as_normal: whether the result is the same as without any fault.
Outcome = namedtuple("Outcome", "status as_normal output errors")


def run_once(scenario_class, sandbox, strace_options):
    scenario = scenario_class()
    workspace = Workspace(sandbox)
    run = None
    try:
        scenario.before(workspace)
        argv = [sandbox.tool, *scenario.argv(workspace)]
        run = TracedRun(sandbox, argv, strace_options, scenario)
        try:
            scenario.during(run, workspace)
            run.wait()
            as_normal = scenario.check(run, workspace)
        finally:
            scenario.after(run, workspace)
        output = run.output()
        await_children()
        workspace.release_all()
        if workspace.locked_files():
            raise Wrong(f"left locked: {workspace.locked_files()}")
        return Outcome(run.status, as_normal, output, run.errors())
    except Wrong as wrong:
        errors = run.errors() if run else ""
        raise Wrong(f"{wrong}; {errors}") from None
    finally:
        workspace.release_all()
        if run:
            run.close()
        adopted.kill_all()


def await_children():
    """Wait for the tracer, and for holders in the background, which are about to end."""
    for pid in adopted.children():
        handle = os.pidfd_open(pid)
        try:
            if not select.select([handle], [], [], HANG)[0]:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8") as line:
                    raise Wrong(f"left behind: {pid} {line.read()!r}")
            os.waitpid(pid, 0)
        finally:
            os.close(handle)
    if adopted.children():
        await_children()
