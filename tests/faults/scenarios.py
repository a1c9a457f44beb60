"""All scenarios, in the order in which they run without --seconds."""

import deaf_scenarios as deaf
import hold_scenarios as hold
import query_scenarios as query
import run_scenarios as run
import shell_scenarios as shell
import stack_scenarios as stack

SCENARIOS = [
    run.RunOnePack,
    run.RunInPlace,
    run.RunSeveral,
    run.RunBothLayouts,
    run.RunWithEvents,
    run.RunBusy,
    run.RunTimesOut,
    run.RunWaits,
    run.RunWaitsInTheGate,
    run.RunPassesTheGate,
    run.RunWaitsForASlot,
    run.RunBelowWorkspaceLock,
    run.RunOutOfOrder,
    run.RunSelfDeadlock,
    shell.ShellKilled,
    shell.ShellKilledAndBlind,
    shell.ShellEndsAtSignal,
    stack.UnderAncestor,
    stack.StackOfStranger,
    stack.StackOfStrangerAndBlind,
    stack.StackOfDead,
    stack.StackOfDeadAndBlind,
    deaf.DeafRun,
    deaf.DeafTimeout,
    deaf.DeafHold,
    query.ProbeFree,
    query.ProbeHeld,
    query.Status,
    query.StatusRecursive,
    query.StatusOfAll,
    hold.Hold,
    hold.HoldDetached,
    hold.HoldDetachedWhile,
    hold.HoldDetachedWaits,
    hold.Release,
    query.Wait,
    query.WaitTimesOut,
    hold.Fd,
    hold.FdWaits,
    hold.FdUnlocks,
]
