"""Ports of the loopback interface for servers of a test."""

import os
import socket

FIRST, COUNT, MOST_IN_A_TEST = 10_000, 20_000, 16
_tried = 0


def free_port():
    """A port that is free now, and stays free until it is used.

    The kernel gives ports below 32768 to no connection, and tests at the same time try
    different ones.
    """
    global _tried
    while _tried < COUNT:
        port = FIRST + (os.getpid() * MOST_IN_A_TEST + _tried) % COUNT
        _tried += 1
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")
