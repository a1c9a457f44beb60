"""Which result of a fault is right, and which is wrong.

Right is one of:

- the result is the same as without any fault; for EINTR, always;
- the exit status is the documented one for this errno, and stderr has one line
  `grex-lock: ...` and at most a second one with a hint.
"""

import json

from wrong import Wrong

# The exit statuses that report an errno, from README.md.
STATUSES = {
    "EACCES": {73, 77},
    "EPERM": {77},
    "EROFS": {73, 77},
    "ENOSPC": {73, 74},
    "EIO": {74},
    "ENOENT": {66, 73},
    "ETXTBSY": {126},
    "EOPNOTSUPP": set(),
    "EINTR": set(),
    "ENOSYS": set(),
}
REFUSED = {71}
WRITES = ("write", "pwritev2")  # they may keep the report itself from being written


def statuses_for(fault):
    """The exit statuses that may report this fault."""
    statuses = STATUSES.get(fault.errno, REFUSED)
    if fault.call == "execve":
        return statuses | {71, 126}
    # std::filesystem::create_directories() calls stat(2), and treats a directory that
    # it cannot check as missing.
    follows_symlinks = fault.call == "newfstatat" and fault.arguments.endswith(", 0")
    if follows_symlinks:
        statuses = statuses | {73}
    # If no path can be checked at all, PATH looks missing, too.
    if fault.call == "newfstatat" and fault.scenario.is_lasting:
        statuses = statuses | {66, 73}
    return statuses | fault.scenario.also


def verdict(fault, outcome):
    """What to count this outcome as, None for nothing. Raises Wrong if it is wrong."""
    if outcome.as_normal:
        return "overcome"
    if "--json" in fault.scenario.words:
        return verdict_on_document(fault, outcome)
    status, errors = outcome.status, outcome.errors
    if status not in statuses_for(fault):
        raise Wrong(f"ended with {status}, not with one of {sorted(statuses_for(fault))}; {errors}")
    # The test, which is above grex-lock, has the locks that are waited for.
    lines = [line for line in errors.splitlines() if not line.startswith("grex-lock: possible deadlock: ")]
    is_silenced = (fault.call in WRITES or fault.scenario.is_deaf) and not lines
    if not is_silenced and not (1 <= len(lines) <= 2 and all(line.startswith("grex-lock: ") for line in lines)):
        raise Wrong(f"ended with {status}, and printed: {errors!r}")
    return f"status {status}"


def verdict_on_document(fault, outcome):
    status, output = outcome.status, outcome.output
    if fault.call in WRITES and status == 74:
        return None
    try:
        document = json.loads(output)
        reported = document["exit_code"] if "error" in document else None
    except (ValueError, KeyError, TypeError):
        raise Wrong(f"ended with {status}, and printed {output!r}") from None
    # A report without an error shows only by the exit status that something is missing.
    if status not in statuses_for(fault) or reported not in (status, None):
        raise Wrong(f"ended with {status}, and printed {output!r}")
    return f"status {status}"
