"""End a test cleanly when it is interrupted: a signal becomes an exception."""

import signal

TERMINATION_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(Exception):
    """A signal arrived; the message is its name."""


def interrupt(number, _):
    raise Interrupted(signal.Signals(number).name)


def raise_on_signals(*others):
    """From now on, a termination signal, or one of `others`, raises Interrupted."""
    for number in (*TERMINATION_SIGNALS, *others):
        signal.signal(number, interrupt)


def ignore_signals():
    """Ignore the termination signals, so that the cleanup runs to its end."""
    for number in TERMINATION_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
