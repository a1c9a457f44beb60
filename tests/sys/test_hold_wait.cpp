#include <doctest/doctest.h>
#include <signal.h>

#include <array>
#include <optional>

#include "sys/process/hold_wait.hpp"

using namespace grex;

namespace {

// Work that is done once, in which a signal arrives.
class Signalled : public sys::TimedWork {
 public:
  [[nodiscard]] std::optional<Deadline> due() const override { return due_; }
  void do_now() override {
    due_.reset();
    ::raise(SIGTERM);
  }

 private:
  std::optional<Deadline> due_ = Deadline::clock::now();
};

}  // namespace

TEST_CASE("a signal that arrives while timed work is done ends a hold") {
  const auto signals = sys::BlockedSignals::begin();
  REQUIRE(signals);
  Signalled work;
  const std::array<sys::TimedWork*, 1> works = {&work};
  CHECK(sys::wait_until_released(*signals, {.works = works}));
}
