#include "cli/args/env_defaults.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include "sys/file/file.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

// The environment's text for an option that the command line left open.
template <class Value>
std::optional<Failure> read_environment(const char* name, std::optional<Value>& target, const Form<Value>& form) {
  const char* const text = target ? nullptr : ::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  target = form.parse(text);
  if (target) return std::nullopt;
  return usage_failure(fmt::format("{}: {}", name, not_of_form(text, form.description)), {});
}

std::optional<Failure> check_status_fd(std::optional<int> fd) {
  const sys::Access access = fd ? sys::access_of(*fd) : sys::Access::writing;
  if (access == sys::Access::writing) return std::nullopt;
  return usage_failure(fmt::format("--json-status-fd: descriptor {} is {}", *fd,
                                   access == sys::Access::closed ? "not open" : "not open for writing"),
                       fmt::format("open it in the shell, as by 'exec {}>FILE'", *fd));
}

}  // namespace

std::optional<Failure> complete(GlobalOptions& options) {
  auto failure = read_environment("GREX_LOCK_LAYOUT", options.layouts, layout_form);
  if (!options.layouts) options.layouts = core::Layouts{core::Layout::flat};
  return failure;
}

std::optional<Failure> complete(GlobalOptions& global, LockOptions& lock) {
  if (auto failure = complete(global)) return failure;
  if (auto failure = check_status_fd(lock.status_fd)) return failure;
  auto failure = read_environment("GREX_LOCK_TIER_CHECK", lock.tier_check, tier_check_form);
  if (!lock.tier_check) lock.tier_check = TierCheck::enforce;
  if (failure || lock.nonblock) return failure;
  failure = read_environment("GREX_LOCK_TIMEOUT", lock.timeout, duration_form);
  if (lock.timeout == std::chrono::nanoseconds::zero()) lock.nonblock = true;
  return failure;
}

std::optional<Failure> apply_default(std::optional<unsigned>& slots) {
  auto failure = read_environment("GREX_PARALLEL", slots, slots_form);
  if (!slots) slots = sys::cpu_count();
  return failure;
}

}  // namespace grex::cli
