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

// A search for holders that ends only when it is told to.
cli::Failure search_in_vain(const core::StopToken& should_stop) {
  while (!should_stop()) ::poll(nullptr, 0, 1);
  cli::Failure busy;
  busy.kind = ErrorKind::busy;
  busy.path = "/p/.grex-lock";
  return busy;
}

}  // namespace

TEST_CASE("a wait begins before its holder is known, and its event is written when it ends at the latest") {
  const TempDir dir;
  const UniqueFd out(::open((dir / "events").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  cli::Events events;
  events.open(out.get());
  cli::LockOptions options;
  options.verbosity = cli::Verbosity::quiet;
  auto progress = cli::announce_wait(options, {}, events, {}, search_in_vain);
  // Here, the caller would wait for the lock.
  CHECK(test::content_of(dir / "events").empty());
  progress.reset();
  const auto waiting = nlohmann::json::parse(test::content_of(dir / "events"));
  CHECK(waiting["event"] == "waiting");
  CHECK(waiting["busy"]["path"] == "/p/.grex-lock");
}
