"""A pipe that is full, and that no process reads."""

import os

from wrong import Wrong


class UnreadPipe:
    def __init__(self):
        self.reading_end, self.writing_end = os.pipe()
        os.set_blocking(self.writing_end, False)
        for size in (65536, 1):
            try:
                while os.write(self.writing_end, b"." * size):
                    pass
            except BlockingIOError:
                pass
        os.set_blocking(self.writing_end, True)
        os.set_inheritable(self.writing_end, True)

    def check_unchanged(self):
        """Other processes write to the same open file, and must not find it changed."""
        if not os.get_blocking(self.writing_end):
            raise Wrong("grex-lock left a stream that it shares with others nonblocking")
