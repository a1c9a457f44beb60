#!/usr/bin/env python3
"""Checks that docs/json.schema.json names exactly what grex-lock prints as JSON: every document
and event is valid, and every member that the schema names is in one of them. The samples in
docs/json.md are valid, too.
usage: json_schema.py GREX-LOCK FAKE-KEEPER SOURCE-DIRECTORY

Nothing here sleeps: each step ends when an event or a line arrives. One that takes TIME_LIMIT
hangs.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

TIME_LIMIT = 60  # seconds
READY = "echo ready; read line"
SILENT = "read line"  # where events are on standard output
PACK_LOCK = ".grex-lock"


class Schema:
    def __init__(self, schema):
        Draft202012Validator.check_schema(schema)
        self.schema = schema
        self.parts = schema["$defs"]
        self.missing = set(members_in(schema, ""))

    def validator(self, part):
        return Draft202012Validator({**part, "$defs": self.parts})

    def check(self, document):
        """Checks that exactly one kind of document is this one. Returns the document."""
        kinds = [choice for choice in self.schema["oneOf"] if self.validator(choice).is_valid(document)]
        if len(kinds) != 1:
            likely = [self.parts[name] for name in kinds_of(document)]
            errors = [f"{error.json_path}: {error.message}" for error in
                      (best_match(self.validator(part).iter_errors(document)) for part in likely) if error]
            fail(f"{len(kinds)} kinds match: {json.dumps(document)}\n" + "\n".join(errors))
        self.cover(kinds[0], document, "")
        return document

    def cover(self, part, value, at):
        """Removes the members that a valid value has from the missing ones."""
        if part is True:
            return
        if "$ref" in part:
            name = part["$ref"].removeprefix("#/$defs/")
            self.cover(self.parts[name], value, f"/$defs/{name}")
        for choice in part.get("oneOf", []) + part.get("allOf", []):
            if self.validator(choice).is_valid(value):
                self.cover(choice, value, f"{at}/oneOf")
        if isinstance(value, dict):
            for name, member in part.get("properties", {}).items():
                if name in value:
                    self.missing.discard(f"{at}/{name}")
                    self.cover(member, value[name], f"{at}/{name}")
        if isinstance(value, list) and "items" in part:
            for item in value:
                self.cover(part["items"], item, at)


def members_in(part, at):
    """The members that a schema names, each with its place."""
    if isinstance(part, bool):
        return
    for name, member in part.get("$defs", {}).items():
        yield from members_in(member, f"/$defs/{name}")
    for choice in part.get("oneOf", []) + part.get("allOf", []):
        yield from members_in(choice, f"{at}/oneOf")
    for name, member in part.get("properties", {}).items():
        if member is not False:
            yield f"{at}/{name}"
            yield from members_in(member, f"{at}/{name}")
    if "items" in part:
        yield from members_in(part["items"], at)


def kinds_of(document):
    """The parts of the schema that a document is likely to be, for a message."""
    event = document.get("event")
    if event:
        return ["changed" if event in ("restored", "moved") else event]
    if "error" in document:
        return ["failure"]
    return {"hold": ["held"], "fd": ["held"], "tiers": ["tiers", "gitignore"]}.get(document.get("verb"), [document["verb"]])


class Tool:
    """grex-lock in a temporary workspace. At the end, all that was started is killed."""

    def __init__(self, program, keeper, schema, stack, root):
        self.program, self.schema, self.stack, self.root = os.path.realpath(program), schema, stack, root
        self.keeper = keeper
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("GREX_")}
        self.environment |= {"LOCK": self.program, "GREX_LOCK_LAYOUT": "flat"}
        self.packs = 0

    def pack(self):
        """A new directory."""
        self.packs += 1
        path = f"{self.root}/pack{self.packs}"
        os.mkdir(path)
        return path

    def run(self, *words, status=0, **more):
        """Runs it to its end. Returns what it has printed."""
        done = subprocess.run([self.program, *words], env=self.environment, timeout=TIME_LIMIT, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, cwd=self.root, **more)
        if done.returncode != status:
            fail(f"{words}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def document(self, *words, status=0, **more):
        """The document that it prints; on standard error if a run or a hold fails."""
        done = self.run(*words, "--json", status=status, **more)
        return self.schema.check(json.loads(done.stdout or done.stderr))

    def failure(self, kind, status, *words, **more):
        document = self.document(*words, status=status, **more)
        check(document["error"]["kind"] == kind, f"{words}: {document}")
        return document

    def shell(self, script, *words, status=0):
        """Runs a script in bash, as $1, $2, …. Returns the lines that it prints."""
        done = subprocess.run(["bash", "-c", script, "bash", *words], env=self.environment, timeout=TIME_LIMIT,
                              text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check(done.returncode == status, f"{script}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.splitlines()

    def start(self, *words, **more):
        return self.stack.enter_context(Process([self.program, *words], self.environment, **more))

    def other(self, *words):
        """A process beside grex-lock that prints a line when it runs."""
        process = self.stack.enter_context(Process(words, self.environment))
        process.line()
        return process

    def job(self, *words):
        """A run whose events are on standard output, and that has started its command."""
        process = self.start("run", "--json-status-fd", "1", *words)
        process.events = iter(lambda: self.schema.check(json.loads(process.line())), None)
        return process

    def last_event(self, process, name):
        """Reads up to this event."""
        return next(event for event in process.events if event["event"] == name)

    def events_in(self, text):
        return [self.schema.check(json.loads(line)) for line in text.splitlines()]


class Process(subprocess.Popen):
    def __init__(self, words, environment, **more):
        super().__init__(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, start_new_session=True, **more)
        self.timer = threading.Timer(TIME_LIMIT, self.kill_all)
        self.timer.start()

    def kill_all(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def __exit__(self, *error):
        self.kill_all()
        self.timer.cancel()
        with contextlib.suppress(BrokenPipeError):
            super().__exit__(*error)

    def line(self):
        line = self.stdout.readline()
        check(line, f"{self.args} ended, or hung")
        return line

    def end(self, status=0):
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        check(self.wait(TIME_LIMIT) == status, f"{self.args}: exit status {self.returncode}")


def print_documents(tool):
    for words in ([], ["run"], ["status"]):
        tool.document(*words, "--version")
    tool.document("tiers")
    tool.document("tiers", "--layout", "both", tool.root)
    tool.document("tiers", "--gitignore")
    pack = tool.pack()
    check(tool.document("probe", pack)["state"] == "free", "a free lock is not free")
    tool.document("probe", "-t", "semaphore", pack)
    for command in (["stack"], ["probe", "--reentrant", pack]):
        done = tool.run("run", pack, "--", tool.program, "--json", *command)
        tool.schema.check(json.loads(done.stdout))
    tool.document("wait", pack)
    for line in tool.shell('exec 9>>"$1/.grex-lock"; "$LOCK" fd --json 9; "$LOCK" fd -u --json 9', pack):
        tool.schema.check(json.loads(line))


def print_holds(tool):
    pack = tool.pack()
    held = tool.document("hold", "--detach", "--for", "1h", "--while-pid", str(os.getpid()), "--note", "x", pack)
    try:
        tool.document("status", pack)
        tool.failure("busy", 75, "probe", pack)
    finally:
        check(tool.document("release", pack)["pids"] == [held["locks"][0]["pid"]], "another hold was released")
    check(tool.document("release", "--if-held", pack)["pid"] is None, "a hold was released")
    tool.failure("not-held", 69, "release", pack)
    last = [lock["last"] for lock in tool.document("status", pack)["locks"] if lock["last"]]
    check(len(last) == 1 and last[0]["note"] == "x", f"last: {last}")


def print_status(tool):
    pack = tool.pack()
    job = tool.job(pack, "--note", "nightly", "--", "sh", "-c", SILENT)
    tool.last_event(job, "started")
    slot = tool.job("-t", "semaphore", "--slots", "2", pack, "--", "sh", "-c", SILENT)
    tool.last_event(slot, "started")
    waiter = tool.job("-w", "1h", pack, "--", "true")
    tool.last_event(waiter, "waiting")
    wait_until_queued(waiter.pid)
    tool.document("status", pack)
    tool.document("status", "-v", "--layout", "both", pack)
    tool.document("status", "--all")
    os.mkdir(f"{pack}/.grex.sync.lock")
    reasons = [lock["reason"] for lock in tool.document("status", pack)["locks"]]
    check(reasons[0] == "unsafe" and reasons[2] is None, f"reasons: {reasons}")
    job.end(1)
    tool.last_event(waiter, "released")
    slot.end(1)


def print_deadlock(tool):
    one, two = (f"{tool.pack()}/{PACK_LOCK}" for _ in range(2))
    pair = [tool.other("flock", mine, "sh", "-c", f'echo $$; read line; exec flock "{other}" true')
            for mine, other in ((one, two), (two, one))]
    for process in pair:
        process.stdin.write("\n")
        process.stdin.flush()
    until(lambda: "deadlocks" in tool.document("status", os.path.dirname(one)))


def print_failures(tool):
    pack = tool.pack()
    stranger = tool.other("flock", f"{pack}/{PACK_LOCK}", "sh", "-c", READY)
    done = tool.run("--json", status=64)
    tool.schema.check(json.loads(done.stdout))
    tool.failure("usage", 64, "lock")
    tool.failure("not-found", 66, "status", f"{pack}/none")
    tool.failure("busy", 75, "hold", "-n", pack)
    tool.failure("timeout", 75, "wait", "-w", "1ms", pack)
    lines = tool.shell('exec 9>>"$1/.grex-lock"; "$LOCK" fd -n --json 9; "$LOCK" fd -w 1ms --json 9; true', pack)
    for line in lines:
        check("waited_ms" in tool.schema.check(json.loads(line))["error"], line)
    stranger.end(1)

    done = tool.run("run", pack, "--", tool.program, "--json", "probe", pack, status=75)
    check(tool.schema.check(json.loads(done.stdout))["error"]["kind"] == "reentry", done.stdout)
    done = tool.run("run", pack, "--", tool.program, "--json", "probe", "-t", "workspace-sync", pack, status=76)
    check(tool.schema.check(json.loads(done.stdout))["error"]["kind"] == "tier-violation", done.stdout)
    tool.environment["GREX_LOCK_STACK"] = "x"
    tool.failure("stack", 65, "stack")
    del tool.environment["GREX_LOCK_STACK"]
    os.mkdir(f"{pack}/.grex.sync.lock")
    tool.failure("unsafe-file", 77, "probe", "-t", "workspace-sync", pack)


def print_events(tool):
    pack = f"{tool.pack()}/app"
    os.makedirs(f"{pack}/.grex")
    Path(f"{pack}/.grex/pack.yaml").touch()
    stranger = tool.other("flock", f"{pack}/{PACK_LOCK}", "sh", "-c", READY)
    log = f"{tool.root}/log"
    job = tool.job("--guard", "--note", "nightly", "--log", log, pack, "--", "sh", "-c", "exit 3")
    tool.last_event(job, "waiting")
    stranger.end(1)
    check(tool.last_event(job, "acquired")["guards"] == [pack], "no guard is listed")
    tool.last_event(job, "released")
    job.end(3)
    names = [event["event"] for event in tool.events_in(Path(log).read_text(encoding="utf-8"))]
    check(names == ["waiting", "acquired", "started", "released"], f"the log has {names}")
    tool.events_in(tool.run("run", "--json-status-fd", "1", pack, "--", "./none", status=127).stdout)
    tool.events_in(tool.run("run", "--json-status-fd", "1", f"{pack}/none", "--", "true", status=66).stdout)
    tool.events_in(tool.run("wait", "--json-status-fd", "1", pack).stdout)
    tool.events_in("\n".join(tool.shell('exec 9>>"$1/.grex-lock"; "$LOCK" fd --json-status-fd 1 9', pack)))
    tool.events_in("\n".join(tool.shell('"$LOCK" hold --for 1ms --json-status-fd 3 "$1" 3>&1 >/dev/null', pack)))


def print_endings(tool):
    """What keeps a lock from ending with its command."""
    pack = tool.pack()
    job = tool.job(pack, "--", "sh", "-c", "tail -f /dev/null & kill -TERM $$; wait")
    inherited = tool.last_event(job, "inherited")
    check(inherited["processes"] and inherited["signal"] == "SIGTERM", f"{inherited}")

    pack = tool.pack()
    stuck = tool.job(pack, "--", "flock", f"{pack}/{PACK_LOCK}", "true")
    check(tool.last_event(stuck, "deadlock")["certain"], "CMD itself waits")
    stuck.kill_all()


def print_losses(tool):
    pack = tool.pack()
    job = tool.job(pack, "--", "sh", "-c", SILENT)
    tool.last_event(job, "started")
    os.remove(f"{pack}/{PACK_LOCK}")
    tool.last_event(job, "restored")
    os.rename(pack, f"{pack}-moved")
    tool.last_event(job, "moved")
    os.rename(f"{pack}-moved", pack)
    replaced(tool, pack)
    check("busy" in tool.last_event(job, "lost"), "no process has the new file")
    status = tool.document("status", "-v", pack)
    check("lost" in json.dumps(status), "no lock is lost")

    pack = tool.pack()
    job = tool.job("--if-lost", "stop", pack, "--", "tail", "-f", "/dev/null")
    tool.last_event(job, "started")
    shutil.rmtree(pack)
    check(tool.last_event(job, "failed")["error"]["kind"] == "lost", "nothing is lost")


def print_cluster(tool):
    """Beside grex-lock, the tests' keeper stands for a cluster."""
    cluster = os.path.realpath(tempfile.mkdtemp(dir=tool.root))
    program = shutil.copy(tool.program, f"{cluster}/grex-lock")
    shutil.copy(tool.keeper, f"{cluster}/grex-lock-etcd")
    tool.environment["GREX_LOCK_CLUSTER"] = "etcd://localhost/ci"
    tool.program = program
    job = tool.job("--name", "app", "--", "sh", "-c", '"$0" stack --json; "$0" probe --json --name app; true', program)
    check(tool.last_event(job, "acquired")["token"] == 7, "another token")
    entries = next(document for document in job.events if "entries" in document)["entries"]
    check(entries[0]["cluster"]["name"] == "app", f"entries: {entries}")
    error = next(document for document in job.events if "error" in document)["error"]
    check(error["ancestor"]["cluster"]["token"] == 7, f"another ancestor: {error}")
    job.end()

    pack = tool.pack()
    job = tool.job("--cluster-root", tool.root, pack, "--", "sleep", "1000")
    tool.last_event(job, "started")
    Path(f"{cluster}/lost").write_text("expired", encoding="utf-8")
    check(tool.last_event(job, "lost")["reason"] == "expired", "lost for another reason")
    check(tool.last_event(job, "failed")["error"]["kind"] == "lost", "nothing is lost")
    job.end(79)
    Path(f"{cluster}/listed").touch()
    status = tool.document("status", "--name", "app")
    waiters = [waiter for lock in status["locks"] for waiter in lock["waiters"]]
    check(waiters[0]["position"] == 1, f"another queue: {status}")
    released = tool.document("release", "--force", "--name", "app")
    check(released["token"] == 7 and released["responded"], f"released: {released}")


def replaced(tool, pack):
    """Puts a file that another process has locked in the place of a lock file."""
    new = f"{pack}/new"
    tool.other("flock", new, "sh", "-c", READY)
    os.rename(new, f"{pack}/{PACK_LOCK}")


def print_cut(tool):
    """An event that finds no room behind another one: 64 KiB are kept."""
    pack = tool.pack()
    packs = [f"{pack}/{'p' * 200}{i}" for i in range(130)]
    for path in packs:
        os.mkdir(path)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    filled = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            filled += os.write(writing, b"\n")
    stranger = tool.other("flock", f"{packs[0]}/{PACK_LOCK}", "sh", "-c", READY)
    job = tool.start("run", "--json-status-fd", str(writing), *packs, "--", "sh", "-c", READY, pass_fds=[writing])
    os.close(writing)
    wait_until_queued(job.pid)
    stranger.end(1)
    job.line()
    with open(reading, encoding="utf-8") as events:
        events.read(filled)
        written = iter(lambda: tool.schema.check(json.loads(events.readline())), None)
        cut = [event["event"] for event in until_started(written) if "cut" in event]
        check("acquired" in cut, f"cut: {cut}")
        job.end(1)
        tool.events_in(events.read())


def until_started(events):
    for event in events:
        yield event
        if event["event"] == "started":
            return


def wait_until_queued(pid):
    """Waits until the process is in the kernel's queue for a lock."""
    waits = re.compile(rf"-> +FLOCK +\w+ +\w+ +{pid} ")
    until(lambda: waits.search(Path("/proc/locks").read_text(encoding="ascii")))


def until(condition):
    timer = threading.Event()
    alarm = threading.Timer(TIME_LIMIT, timer.set)
    alarm.start()
    try:
        while not condition():
            check(not timer.is_set(), "it has not happened")
    finally:
        alarm.cancel()


def check_samples(page, schema):
    """The samples in a page of Markdown."""
    samples = re.findall(r"^```json\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    check(samples, f"{page} has no samples")
    for sample in samples:
        schema.check(json.loads(sample))


def fail(message):
    sys.exit(f"json_schema.py: {message}")


def check(holds, message):
    if not holds:
        fail(message)


def main(program, keeper, source):
    schema = Schema(json.loads((source / "docs/json.schema.json").read_text(encoding="utf-8")))
    steps = [print_documents, print_holds, print_status, print_deadlock, print_failures, print_events, print_endings,
             print_losses, print_cluster, print_cut]

    with contextlib.ExitStack() as stack:
        # Root logs nothing where others can write.
        parent = "/root" if os.geteuid() == 0 and os.access("/root", os.W_OK) else None
        root = stack.enter_context(tempfile.TemporaryDirectory(prefix="grex-lock-json.", dir=parent))
        for step in steps:
            with contextlib.ExitStack() as started:
                step(Tool(program, keeper, schema, started, tempfile.mkdtemp(dir=os.path.realpath(root))))
    check(not schema.missing, "named in the schema, but never printed: " + ", ".join(sorted(schema.missing)))
    check_samples(source / "docs/json.md", schema)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
