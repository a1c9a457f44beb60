"""What the events of a job must show when it has ended, whenever a signal came.

A signal may end a job raw only before its first event. Later, each way to end has its
event: `failed` with 128+N, or `released` or `inherited` with the exit code of the
command.
"""

import json
import signal

ORDER = ("waiting", "acquired", "started", "inherited", "released", "failed")
LAST = ("inherited", "released", "failed")
# Other events may come in between: `deadlock`, for instance.


def read(path):
    """The events of a job. Raises ValueError if one is torn."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text and not text.endswith("\n"):
        raise ValueError(f"the last event is torn: {text[-80:]!r}")
    return [json.loads(line) for line in text.splitlines()]


def complaint(job, code, path):
    """Why these events do not fit the end of the job; None if they do."""
    if signal.SIGKILL in job.signals:
        return None
    try:
        events = read(path)
    except ValueError as error:
        return str(error)
    names = [event["event"] for event in events if event["event"] in ORDER]
    while names[:2] == ["waiting", "waiting"]:  # for one lock after the other
        del names[0]
    shown = f"its events show {', '.join(names) or 'nothing'}"
    if names != sorted(set(names), key=ORDER.index):
        return f"{shown}, in this order"
    if code < 0:
        return f"it died of signal {-code}, and {shown}" if names else None
    if not names or names[-1] not in LAST:
        return f"it ended with {code}, and {shown}"
    return complaint_about_code(job, code, names, events)


def complaint_about_code(job, code, names, events):
    last = next(event for event in reversed(events) if event["event"] in LAST)
    if last["event"] == "failed":
        if "started" in names:
            return f"its command ran, and it ended with {code} and 'failed'"
        by_signal = last["error"]["kind"] == "cancelled"
        if by_signal != (code - 128 in job.signals) or last["exit_code"] != code:
            return f"it ended with {code} and {last}"
        return None
    if "acquired" not in names or job.kind == "run" and "started" not in names:
        return f"it ended with {code} and only {', '.join(names)}"
    reported = last.get("exit_code")
    if reported not in (None, code):
        return f"it ended with {code}, and its event says {reported}"
    return None
