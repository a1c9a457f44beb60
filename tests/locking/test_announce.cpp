#include "cli/locking/announce.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "support/temp_dir.hpp"

using namespace grex;
using test::TempDir;

namespace {

cli::Failure busy() {
  cli::Failure failure;
  failure.kind = ErrorKind::busy;
  failure.path = "/p/.grex-lock";
  return failure;
}

// A search for holders that ends only when it is told to.
cli::Failure search_in_vain(const StopToken& should_stop) {
  while (!should_stop()) ::poll(nullptr, 0, 1);
  return busy();
}

// One that never ends, as if it were blocked in the kernel.
cli::Failure search_forever(const StopToken&) {
  for (;;) ::pause();
}

}  // namespace

TEST_CASE("a lock that became free while its holder was searched for says so") {
  const TempDir dir;
  test::write_file(dir / ".grex-lock", "");
  const std::string path = dir / ".grex-lock";
  cli::BusyLock lock = {{core::Tier::per_pack, path, dir.path()}, {sys::LockFileName(path)}};
  lock.audience = cli::Audience::people;
  CHECK(cli::busy_failure(lock, never_stop).why == "its holder has just released it");
}

TEST_CASE("a wait begins before its holder is known, and its event is written when it ends at the latest") {
  for (const auto& search : {search_in_vain, search_forever}) {
    const TempDir dir;
    const UniqueFd out(::open((dir / "events").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
    cli::Events events;
    events.open(out.get());
    cli::LockOptions options;
    options.verbosity = cli::Verbosity::quiet;
    auto progress = cli::announce_wait(options, {}, events, cli::waited_lock({}), busy(), search);
    // Here, the caller would wait for the lock.
    CHECK(test::content_of(dir / "events").empty());
    progress.reset();
    const auto waiting = nlohmann::json::parse(test::content_of(dir / "events"));
    CHECK(waiting["event"] == "waiting");
    CHECK(waiting["busy"]["path"] == "/p/.grex-lock");
  }
}
