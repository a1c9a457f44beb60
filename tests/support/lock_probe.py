"""Ask the kernel, without grex-lock, whether a file is locked."""

import fcntl
import os


def is_locked(path):
    """Whether flock(2) finds this existing file locked by any process."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
