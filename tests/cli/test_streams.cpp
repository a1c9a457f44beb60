// Standard streams that were closed when grex-lock began.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;

namespace {

// Every combination of closed streams, with and without a standard output.
const Words with_output = {"<&-", "2>&-", "<&- 2>&-"};
const Words without_output = {">&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"};

// A bash script in a mount namespace in which /dev is empty. Exits with 77 if that is
// not possible.
Words without_devices(const std::string& script) {
  Words words = {
      "unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /dev || exit 77; exec \"$@\"",
      "sh"};
  for (const std::string& word : bash(script)) words.push_back(word);
  return words;
}

// How these words end, and then the size of the lock file.
std::string try_with(const std::string& words, const std::string& closing) {
  return "\"$LOCK\" " + words + " " + closing + "; echo \"$? $(stat -c %s .grex-lock)\" >&8; ";
}

}  // namespace

// SECURITY.md: close standard streams, so that a lock becomes one | the numbers 0, 1 and 2 are not used
TEST_CASE("without /dev/null and with closed streams, every command works and writes no message into the lock file") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  const auto results = [&dir](const std::string& words, const Words& closings) {
    std::string script = "exec 8>results; ";
    for (const std::string& closing : closings) script += try_with(words, closing);
    const Finished finished = finish(without_devices(script), in(dir.path()));
    while (::waitpid(-1, nullptr, 0) > 0) {
    }  // what --detach has left is our child now
    return finished.ended == exited(0) ? content_of(dir / "results") : "skip";
  };
  if (results("probe .", with_output) == "skip") return skip("no mount namespace here");
  for (const std::string words :
       {"run -v --no-record . -- test ! -s .grex-lock", "probe .", "wait -v .", "fd -v --no-record 9 9>>.grex-lock"}) {
    CAPTURE(words);
    CHECK(results(words, with_output) == "0 0\n0 0\n0 0\n");
    CHECK(results(words, without_output) == "0 0\n0 0\n0 0\n0 0\n");
  }
  for (const std::string words :
       {"hold -v --no-record --for 1ms .", "hold --detach --no-record --for 1ms .",
        "hold --no-record --stdin . </proc/version", "status .", "hold --no-record --for 1ms --json ."}) {
    CAPTURE(words);
    const bool is_message = words.starts_with("hold") && !words.ends_with("--json .");
    CHECK(results(words, with_output) == "0 0\n0 0\n0 0\n");
    CHECK(results(words, without_output) == (is_message ? "0 0\n0 0\n0 0\n0 0\n" : "74 0\n74 0\n74 0\n74 0\n"));
  }
}

TEST_CASE("if the reader of standard output is gone, every command ends with 74, and without a message") {
  const TempDir dir;
  Setup unread = in(dir.path());
  unread.before_exec = [] {
    int ends[2];
    if (::pipe(ends) != 0) ::_exit(2);
    ::dup2(ends[1], 1);
    ::close(ends[0]);
    ::close(ends[1]);
  };
  for (const Words& words : {Words{"status", "."}, Words{"--help"}, Words{"tiers"}, Words{"probe", "--json", "."},
                             Words{"hold", "--for", "1ms", "."}, Words{"probe", "--json", "none"}}) {
    CAPTURE(words.front());
    Words line = grex_lock({});
    line.insert(line.end(), words.begin(), words.end());
    const Finished finished = finish(line, unread);
    CHECK(finished.ended == exited(74));
    CHECK(finished.err.empty());
  }
  // Any other error has one.
  unread.before_exec = [] { ::dup2(::open("/dev/full", O_WRONLY), 1); };
  CHECK(finish(grex_lock({"status", "."}), unread).err ==
        "grex-lock: I/O error: standard output: No space left on device (write)\n");
}

TEST_CASE("a standard stream that was closed does not count as an open descriptor") {
  const TempDir dir;
  const Finished input = finish(bash("\"$LOCK\" fd 0 <&-"), in(dir.path()));
  CHECK(input.ended == exited(64));
  CHECK(input.err.find("descriptor 0 is not open") != std::string::npos);
  const Finished events = finish(bash("\"$LOCK\" run --json-status-fd 1 . -- true >&-"), in(dir.path()));
  CHECK(events.ended == exited(64));
  CHECK(events.err.find("descriptor 1 is not open") != std::string::npos);
}
