#include "core/inspect/inspect.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "cli/locking/busy.hpp"
#include "core/inspect/kernel_view.hpp"
#include "support/fd.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex;
using core::LockState;

namespace {

bool stop_at_once() { return true; }

// More locks than two pages of /proc/locks can list.
struct ManyLocks {
  ManyLocks() {
    for (int i = 0; i < 400; ++i) {
      paths.push_back(dir / std::to_string(i));
      locks.push_back(test::lock_as_grex(paths.back()));
    }
  }
  test::TempDir dir;
  std::vector<std::string> paths;
  std::vector<test::Fd> locks;
};

}  // namespace

TEST_CASE("what an unfinished read of /proc/locks misses is never free") {
  const ManyLocks many;
  const auto mounts = core::visible_mounts();
  const auto view = core::KernelView::take(mounts, stop_at_once);
  CHECK(view.is_cut());
  const std::string free = many.dir / "free";
  test::write_file(free, "");
  CHECK_FALSE(view.is_complete_for(sys::status_of(free)->id));
  std::vector<sys::LockFileName> names(many.paths.begin(), many.paths.end());
  names.emplace_back(free);
  const auto reports = core::inspect(names, mounts, {.should_stop = stop_at_once});
  std::size_t by_trying = 0;
  for (std::size_t i = 0; i < many.paths.size(); ++i) {
    REQUIRE(reports[i].state == LockState::held);
    CHECK(reports[i].is_list_cut);
    if (reports[i].holders.empty()) ++by_trying;
  }
  CHECK(by_trying > 0);
  CHECK(reports.back().state == LockState::free);
  CHECK(reports.back().evidence == core::Evidence::probe);
}

TEST_CASE("a busy lock whose holder could not be found in time says that /proc/locks took too long") {
  const ManyLocks many;
  std::size_t named = 0;
  for (const std::string& path : many.paths) {
    const cli::Failure failure =
        cli::busy_failure({{core::Tier::per_pack, path}, {path}, {}, cli::Audience::people}, stop_at_once);
    CHECK(failure.kind == ErrorKind::busy);
    if (failure.holders.empty()) {
      REQUIRE(failure.why == "/proc/locks took too long to read");
    } else {
      REQUIRE(failure.why.starts_with("held by pid "));
      ++named;
    }
  }
  CHECK(named < many.paths.size());
  const cli::Failure in_time = cli::busy_failure(
      {{core::Tier::per_pack, many.paths[0]}, {many.paths[0]}, {}, cli::Audience::people}, never_stop);
  CHECK(in_time.why.starts_with("held by pid "));
}

TEST_CASE("the process that took a lock is named even if there is no time left") {
  const test::TempDir dir;
  test::Process holder({"flock", dir / "lock", "sh", "-c", "echo; read line"});
  holder.line();
  test::until([&] {  // other tests may make the list long for a moment
    const auto reports = core::inspect({dir / "lock"}, core::visible_mounts(), {.should_stop = stop_at_once});
    return !reports[0].holders.empty() && reports[0].holders[0].pid == holder.pid() &&
           reports[0].holders[0].alive == true && !reports[0].holders[0].command.empty();
  });
}

TEST_CASE("if there is no time left, many holders are listed, but only the first few are described") {
  const test::TempDir dir;
  constexpr std::size_t sharers = 12;
  std::vector<test::Process> processes;
  for (std::size_t i = 0; i < sharers; ++i) {
    processes.emplace_back(test::Words{"flock", "-s", dir / "lock", "sh", "-c", "echo; read line"});
    processes.back().line();
  }
  test::until([&] {  // other tests may make the list long for a moment
    const auto reports = core::inspect({dir / "lock"}, core::visible_mounts(), {.should_stop = stop_at_once});
    const auto& holders = reports[0].holders;
    const auto is_described = [](const core::LockProcess& process) { return !process.command.empty(); };
    const auto described = std::count_if(holders.begin(), holders.end(), is_described);
    return holders.size() >= sharers && described == 4;
  });
  const auto in_time = core::inspect({dir / "lock"}, core::visible_mounts());
  CHECK(in_time[0].holders.size() == 2 * sharers);
  for (const core::LockProcess& holder : in_time[0].holders) CHECK_FALSE(holder.command.empty());
}

TEST_CASE("a symlink on the way to a lock file makes its state unknown") {
  const test::TempDir dir;
  dir.make("real");
  const test::Fd lock = test::lock_as_grex(dir / "real/lock");
  std::filesystem::create_symlink("real", dir / "linked");
  const auto reports = core::inspect({dir / "linked/lock", dir / "real/lock"}, core::visible_mounts());
  CHECK(reports[0].state == LockState::unknown);
  REQUIRE(reports[0].why_unknown);
  CHECK(reports[0].why_unknown->kind == ErrorKind::unsafe_file);
  CHECK(reports[1].state == LockState::held);
}
