// Slots: at most N jobs run at a time.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;

namespace {

std::string slot(const TempDir& dir, int number) {
  return dir / (".grex/.grex.slot-" + std::to_string(number) + ".lock");
}

// A command line that runs the command with one of `slots` slots.
Words with_slot(const TempDir& dir, int slots, const Words& command) {
  Words words = grex_lock({"run", "-t", "semaphore", "--slots", std::to_string(slots), dir.path(), "--"});
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

// The first in the queue waits at every slot.
bool is_first_in_queue(const TempDir& dir, int slots) {
  for (int i = 0; i < slots; ++i) {
    if (waiters_on(slot(dir, i)) == 0) return false;
  }
  return true;
}

std::string queue(const TempDir& dir, int slots) {
  return dir / (".grex/.grex.slot-queue-" + std::to_string(slots) + ".lock");
}

}  // namespace

TEST_CASE("at most N jobs run at a time, and all of them get their turn") {
  const TempDir dir;
  dir.make("running");
  // Each job counts those that run, itself included, by their directories.
  const std::string job =
      "mkdir running/$$ && set -- running/* && [ $# -le 3 ] || echo too many; echo x >>done; rmdir running/$$";
  const Finished script = finish(
      bash("for i in $(seq 30); do \"$LOCK\" run -t semaphore --slots 3 . -c '" + job + "' & done; wait; wc -l <done"),
      in(dir.path()));
  CAPTURE(script.err);
  CHECK(script.out == "30\n");
}

TEST_CASE("a slot that becomes free by any means wakes the first in the queue") {
  for (const int freed : {0, 1}) {
    for (const char* const how : {"ends", "is killed", "unlocks"}) {
      CAPTURE(freed);
      CAPTURE(how);
      const TempDir dir;
      const Fd other = lock_as_grex(slot(dir, 1 - freed));
      // An unlock without a close is the hardest to notice.
      Process holder({"python3", "-c",
                      "import fcntl, sys\n"
                      "f = open(sys.argv[1], 'w')\n"
                      "fcntl.flock(f, fcntl.LOCK_EX)\n"
                      "print('locked', flush=True)\n"
                      "if sys.stdin.readline() == 'unlock\\n':\n"
                      "    fcntl.flock(f, fcntl.LOCK_UN)\n"
                      "    sys.stdin.readline()\n",
                      slot(dir, freed)});
      CHECK(holder.line() == "locked");
      Process waiter(with_slot(dir, 2, {"echo", "mine"}));
      until([&dir] { return is_first_in_queue(dir, 2); });
      const std::string means = how;
      if (means == "ends") holder.close_input();
      if (means == "is killed") holder.signal(SIGKILL);
      if (means == "unlocks") holder.write("unlock\n");
      CHECK(waiter.line() == "mine");
      CHECK(waiter.wait() == exited(0));
      holder.close_input();
    }
  }
}

TEST_CASE("the slot of a job that is killed with grex-lock is free immediately") {
  const TempDir dir;
  Process job(with_slot(dir, 1, until_input_closes()));
  CHECK(job.line() == "ready");
  Process next(with_slot(dir, 1, {"echo", "mine"}));
  until([&dir] { return waiters_on(slot(dir, 0)) == 1; });
  ::kill(-job.pid(), SIGKILL);  // the group: grex-lock and its command
  CHECK(next.line() == "mine");
}

TEST_CASE("waiters are served in the order in which they came") {
  const TempDir dir;
  const Fd one = lock_as_grex(slot(dir, 0));
  Fd other = lock_as_grex(slot(dir, 1));
  const Words command = {"sh", "-c", "echo mine; read line; exit 0"};
  Process first(with_slot(dir, 2, command));
  until([&dir] { return is_first_in_queue(dir, 2); });
  Process second(with_slot(dir, 2, command));
  until([&dir] { return waiters_on(queue(dir, 2)) == 1; });
  CHECK(waiters_on(slot(dir, 0)) == 1);  // the second is not there yet
  other.reset();
  CHECK(first.line() == "mine");
  until([&dir] { return is_first_in_queue(dir, 2); });
  first.close_input();
  CHECK(second.line() == "mine");
}

TEST_CASE("a waiter for one of few slots does not block one that may take others") {
  const TempDir dir;
  Fd first = lock_as_grex(slot(dir, 0));
  const Fd second = lock_as_grex(slot(dir, 1));
  Fd third = lock_as_grex(slot(dir, 2));
  Process modest(with_slot(dir, 1, {"echo", "modest"}));
  until([&dir] { return waiters_on(slot(dir, 0)) == 1; });
  Process greedy(with_slot(dir, 3, {"echo", "greedy"}));
  until([&dir] { return is_first_in_queue(dir, 3); });
  third.reset();
  CHECK(greedy.line() == "greedy");
  first.reset();
  CHECK(modest.line() == "modest");
}

TEST_CASE("all threads of waiters for slots sleep") {
  const TempDir dir;
  const Fd one = lock_as_grex(slot(dir, 0));
  const Fd other = lock_as_grex(slot(dir, 1));
  Process waiter(with_slot(dir, 2, {"true"}));
  until([&dir] { return is_first_in_queue(dir, 2); });
  const std::string tasks = "/proc/" + std::to_string(waiter.pid()) + "/task";
  const auto switch_counts = [&tasks] {
    std::string all;
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
      const std::string status = content_of(task.path() / "status");
      all += status.substr(status.find("\nvoluntary_ctxt_switches"));
    }
    return all;
  };
  until([&tasks] {
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
      if (content_of(task.path() / "status").find("State:\tS") == std::string::npos) return false;
    }
    return true;
  });
  const std::string before = switch_counts();
  // A process that polls would be on a processor again while this runs to its end.
  CHECK(run_tool({"run", "-w", "300ms", "-t", "semaphore", "--slots", "1", dir.path(), "--", "true"}).ended ==
        exited(75));
  CHECK(switch_counts() == before);
}

TEST_CASE("status lists each waiter for a slot once, and in order") {
  const TempDir dir;
  const Fd one = lock_as_grex(slot(dir, 0));
  const Fd other = lock_as_grex(slot(dir, 1));
  // The one that comes later has the lower number.
  Words later = with_slot(dir, 2, {"true"});
  later.insert(later.begin(), {"sh", "-c", "read line; exec \"$@\"", "sh"});
  Process second(later);
  Process first(with_slot(dir, 2, {"true"}));
  until([&dir] { return is_first_in_queue(dir, 2); });
  second.write("\n");
  until([&dir] { return waiters_on(queue(dir, 2)) == 1; });
  const auto status = nlohmann::json::parse(run_tool({"status", "--json", dir.path()}).out);
  const auto& slots = status["locks"][1];
  CHECK(slots["tier"] == "semaphore");
  CHECK(slots["used"] == 2);
  REQUIRE(slots["waiters"].size() == 2);
  CHECK(slots["waiters"][0]["pid"] == first.pid());
  CHECK(slots["waiters"][1]["pid"] == second.pid());
}

TEST_CASE("a timeout or a signal ends a wait for slots, and leaves nothing in any queue") {
  const TempDir dir;
  const Fd one = lock_as_grex(slot(dir, 0));
  const Fd other = lock_as_grex(slot(dir, 1));
  const Finished late = run_tool({"run", "-w", "10ms", "-t", "semaphore", "--slots", "2", dir.path(), "--", "true"});
  CHECK(late.ended == exited(75));
  CHECK(late.err.find("all 2 slots are in use: pid ") != std::string::npos);
  Process first(with_slot(dir, 2, {"true"}));
  until([&dir] { return is_first_in_queue(dir, 2); });
  Process second(with_slot(dir, 2, {"true"}));
  until([&dir] { return waiters_on(queue(dir, 2)) == 1; });
  second.signal(SIGINT);
  CHECK(second.wait() == exited(128 + SIGINT));
  first.signal(SIGTERM);
  CHECK(first.wait() == exited(128 + SIGTERM));
  for (const std::string& path : {slot(dir, 0), slot(dir, 1), queue(dir, 2)}) CHECK(waiters_on(path) == 0);
  CHECK_FALSE(is_locked(queue(dir, 2)));
}

// SECURITY.md: leave no descriptors, no memory, no processes, or limit file sizes | the documented exit code; a command
// never runs without its lock
TEST_CASE("more slots than a process may have files open") {
  constexpr int slots = 100;
  constexpr rlim_t soft = 40;
  const TempDir dir;
  std::vector<Fd> holders;
  for (int i = 0; i < slots; ++i) holders.push_back(lock_as_grex(slot(dir, i)));
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlim_t hard = limit.rlim_max;
  if (hard < 2UL * slots) return skip("the hard limit on open files is too low");
  const auto limited_to = [](rlim_t hard_limit) {
    return Setup{.before_exec = [hard_limit] {
      ::closefrom(3);
      const rlimit low = {soft, hard_limit};
      if (::setrlimit(RLIMIT_NOFILE, &low) != 0) ::_exit(2);
    }};
  };
  const std::string count = std::to_string(slots);
  SUBCASE("are tried without waiting, whatever the limits") {
    const Words tried[] = {grex_lock({"run", "-n", "-t", "semaphore", "--slots", count, dir.path(), "--", "true"}),
                           grex_lock({"probe", "-t", "semaphore", "--slots", count, dir.path()})};
    for (const Words& words : tried) {
      const Finished finished = finish(words, limited_to(soft));
      CAPTURE(finished.err);
      CHECK(finished.ended == exited(75));
      CHECK(finished.err.find("all 100 slots are in use: ") != std::string::npos);
    }
  }
  SUBCASE("are waited for if the hard limit allows it, and the command gets the old limits") {
    const std::string limits = "ulimit -Sn; ulimit -Hn";
    const std::string expected = std::to_string(soft) + "\n" + std::to_string(hard) + "\n";
    for (const char* const how : {"--quiet", "--no-fork", "--close"}) {
      CAPTURE(how);
      Process waiter(grex_lock({"run", how, "-t", "semaphore", "--slots", count, dir.path(), "-c", limits}),
                     limited_to(hard));
      until([&dir] { return is_first_in_queue(dir, slots); });
      holders.back().reset();
      CHECK(waiter.rest() == expected);
      CHECK(waiter.wait() == exited(0));
      holders.back() = lock_as_grex(slot(dir, slots - 1));
    }
    Process hold(grex_lock({"hold", "-t", "semaphore", "--slots", count, dir.path()}), limited_to(hard));
    until([&dir] { return is_first_in_queue(dir, slots); });
    holders.back().reset();
    hold.line();
    rlimit held{};
    REQUIRE(::prlimit(hold.pid(), RLIMIT_NOFILE, nullptr, &held) == 0);
    CHECK(held.rlim_cur == soft);
    CHECK(held.rlim_max == hard);
  }
  SUBCASE("can't be waited for if the hard limit is too low, and the message says so") {
    const Finished finished = finish(
        grex_lock({"run", "-w", "1", "-t", "semaphore", "--slots", count, dir.path(), "--", "true"}), limited_to(soft));
    CHECK(finished.ended == exited(71));
    CHECK(
        finished.err.ends_with(": Too many open files (open)\n"
                               "grex-lock: a wait for 100 slots needs as many open files: raise the hard limit "
                               "(ulimit -Hn)\n"));
  }
}

TEST_CASE("--slots overrides GREX_PARALLEL, and 0 is unbounded") {
  const TempDir dir;
  const Fd one = lock_as_grex(slot(dir, 0));
  const Setup parallel = {.environment = {{"GREX_PARALLEL", "1"}}};
  CHECK(run_tool({"run", "-n", "-t", "semaphore", dir.path(), "--", "true"}, parallel).ended == exited(75));
  CHECK(run_tool({"run", "-n", "-t", "semaphore", "--slots", "2", dir.path(), "--", "true"}, parallel).ended ==
        exited(0));
  CHECK(run_tool({"run", "-n", "-t", "semaphore", "--slots", "0", dir.path(), "--", "true"}, parallel).ended ==
        exited(0));
}

TEST_CASE("an ancestor's slot counts, whatever the number of slots here") {
  const TempDir dir;
  const Fd one = lock_as_grex(slot(dir, 0));
  CHECK(
      finish(with_slot(dir, 2,
                       grex_lock({"run", "--reentrant", "-t", "semaphore", "--slots", "1", dir.path(), "--", "true"})))
          .ended == exited(0));
  CHECK(finish(with_slot(dir, 2, grex_lock({"run", "-t", "semaphore", "--slots", "1", dir.path(), "--", "true"})))
            .ended == exited(75));
}

TEST_CASE("a user who can't create files in the workspace can still wait for existing slots") {
  if (!can_become_others()) return;
  const TempDir dir;
  for (const int i : {0, 1}) {
    write_file(slot(dir, i), "");
    ::chmod(slot(dir, i).c_str(), 0666);
  }
  ::chmod(dir.path().c_str(), 0755);
  const Fd one = lock_as_grex(slot(dir, 0));
  Fd other = lock_as_grex(slot(dir, 1));
  Process waiter(with_slot(dir, 2, {"echo", "mine"}), {.before_exec = [] {
                   if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(2);
                 }});
  until([&dir] { return is_first_in_queue(dir, 2); });
  CHECK_FALSE(exists(queue(dir, 2)));
  other.reset();
  CHECK(waiter.line() == "mine");
}

TEST_CASE("the first in the queue gives up its place while it is suspended") {
  const TempDir dir;
  const Fd one = lock_as_grex(slot(dir, 0));
  Fd other = lock_as_grex(slot(dir, 1));
  Process first(with_slot(dir, 2, {"echo", "first"}));
  until([&dir] { return is_first_in_queue(dir, 2); });
  Process second(with_slot(dir, 2, {"echo", "second"}));
  until([&dir] { return waiters_on(queue(dir, 2)) == 1; });
  first.signal(SIGTSTP);
  until([&first] { return state_of(first.pid()) == 'T'; });
  other.reset();
  CHECK(second.line() == "second");
  CHECK(second.wait() == exited(0));
  first.signal(SIGCONT);
  CHECK(first.line() == "first");
}

TEST_CASE("a suspension that ends immediately has no effect, nor does a SIGTSTP blocked from the start") {
  const TempDir dir;
  const Fd one = lock_as_grex(slot(dir, 0));
  Fd other = lock_as_grex(slot(dir, 1));
  for (int i = 0; i < tries(50); ++i) {
    Process waiter(with_slot(dir, 2, {"true"}));
    until([&dir] { return is_first_in_queue(dir, 2); });
    waiter.signal(SIGTSTP);
    waiter.signal(SIGCONT);
    until([&dir] { return is_first_in_queue(dir, 2); });
    waiter.signal(SIGTERM);
    CHECK(waiter.wait() == exited(128 + SIGTERM));
  }
  Process deaf(with_slot(dir, 2, {"echo", "mine"}), {.before_exec = [] {
                 sigset_t stop;
                 sigemptyset(&stop);
                 sigaddset(&stop, SIGTSTP);
                 ::sigprocmask(SIG_BLOCK, &stop, nullptr);
               }});
  until([&dir] { return is_first_in_queue(dir, 2); });
  deaf.signal(SIGTSTP);
  CHECK(is_first_in_queue(dir, 2));
  other.reset();
  CHECK(deaf.line() == "mine");
}

TEST_CASE("a bad GREX_PARALLEL is a usage error with an event, and a bad stack or PATH comes before it") {
  const TempDir dir;
  const Finished script = finish(bash("export GREX_PARALLEL=x\n"
                                      "\"$LOCK\" run --json-status-fd 3 -t semaphore . -- echo ran 3>events; echo $?\n"
                                      "GREX_LOCK_STACK=x \"$LOCK\" run -t semaphore . -- echo ran; echo $?\n"
                                      "\"$LOCK\" run -l per-pack:missing -l semaphore:. -- echo ran; echo $?"),
                                 in(dir.path()));
  CAPTURE(script.err);
  CHECK(script.out == "64\n65\n66\n");
  CHECK(content_of(dir / "events").starts_with("{\"event\":\"failed\","));
}

TEST_CASE("status --slots N shows how many of N slots are used, without it of GREX_PARALLEL, or a default") {
  const TempDir dir;
  const Fd taken = lock_as_grex(slot(dir, 1));
  const auto line_with = [&dir](const Words& options) {
    Words words = grex_lock({"status", dir.path()});
    words.insert(words.end(), options.begin(), options.end());
    const Finished finished = finish(words, {.environment = {{"GREX_PARALLEL", "5"}}});
    CHECK(finished.ended == exited(0));
    return finished.out;
  };
  CHECK(line_with({"--slots", "3"}).find("held 1/3 ") != std::string::npos);
  CHECK(line_with({"-r", "--slots=3"}).find("held 1/3 ") != std::string::npos);
  CHECK(line_with({}).find("held 1/5 ") != std::string::npos);
  CHECK(line_with({"--slots", "0"}).find("held 1 ") != std::string::npos);
  CHECK(line_with({}).find("by default") == std::string::npos);
  const std::string guess = run_tool({"status", dir.path()}, {.environment = {{"GREX_PARALLEL", "many"}}}).out;
  CHECK(guess.starts_with("semaphore  held 1  "));
  CHECK(guess.find(" by default; --slots N if jobs have another number\n") != std::string::npos);
  const auto lock = nlohmann::json::parse(line_with({"--json", "--slots", "3"}))["locks"][1];
  CHECK(lock["slots"] == 3);
  CHECK(lock["used"] == 1);
  CHECK(run_tool({"status", "--slots", "x", dir.path()}).err ==
        "grex-lock: usage: --slots: 'x' is not a number from 0 to 4096\n");
}
