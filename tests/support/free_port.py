"""Ports of the loopback interface for servers of a test."""

import socket

_kept = []  # until the test ends


def free_port():
    """A port for a server, which must set SO_REUSEADDR, as etcd does.

    A socket of this process keeps it from all others.
    """
    kept = socket.socket()
    kept.bind(("127.0.0.1", 0))
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _kept.append(kept)
    return kept.getsockname()[1]
