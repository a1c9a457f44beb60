"""What must not be left at the end: a process, or a lock."""

import json
import os
import subprocess

from lock_probe import is_locked
from wrong import Wrong


def check_nothing_left(tool, locks, events):
    # Every process that had the pipe of the claimants open must be gone, adopted or not.
    if not events.close():
        raise Wrong("a claimant still reports after the end")
    for file in locks.files():
        if os.path.exists(file) and is_locked(file):
            raise Wrong(f"{file} is still locked")
    status = subprocess.run(
        [tool, "status", "--json", "--held", "-r", locks.workspace], capture_output=True, check=False
    )
    if status.returncode != 0 or json.loads(status.stdout)["locks"]:
        raise Wrong(f"status reports at the end: {status.returncode} {status.stdout} {status.stderr}")
