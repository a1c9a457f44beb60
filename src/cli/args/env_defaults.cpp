#include "cli/args/env_defaults.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <cstdint>
#include <utility>

#include "base/text.hpp"
#include "core/lock/layout.hpp"
#include "sys/file/file.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

// Sets an option from the environment, unless the command line has set it.
template <class Value>
Result<void, Failure> set_from_environment(const char* name, std::optional<Value>& option,
                                           const ValueSyntax<Value>& syntax) {
  const char* const text = option ? nullptr : ::getenv(name);
  if (text == nullptr || *text == '\0') return {};
  option = syntax.parse(text);
  if (option) return {};
  SyntaxError error = syntax_error(text, syntax.text);
  return usage_failure(fmt::format("{}: {}", name, error.why), std::move(error.hint));
}

// A Failure says that the descriptor of --json-status-fd can't be written.
Result<void, Failure> check_status_fd(std::optional<int> fd) {
  const sys::Access access = fd ? sys::access_of(*fd) : sys::Access::writing;
  if (access == sys::Access::writing) return {};
  const bool is_closed = access == sys::Access::closed;
  const bool is_withheld = is_closed && sys::is_open_in_parent(*fd);
  return usage_failure(
      fmt::format("--json-status-fd: descriptor {} is {}", *fd, is_closed ? "not open" : "not open for writing"),
      is_withheld ? fmt::format("the shell has it open, but does not pass it on: add {0}>&{0}", *fd)
                  : fmt::format("open it in the shell, for example: exec {}>FILE", *fd));
}

constexpr const char* slots_variable = "GREX_PARALLEL";

// All slots may be listed, so there is a limit all the same.
std::optional<std::uint16_t> shown_slots_set() {
  const char* const text = ::getenv(slots_variable);
  return text == nullptr ? std::nullopt : parse_number<std::uint16_t>(text);
}

}  // namespace

Result<void, Failure> apply_env_defaults(GlobalOptions& options) {
  auto applied = set_from_environment("GREX_LOCK_LAYOUT", options.layouts, layout_syntax);
  if (!options.layouts) options.layouts = core::Layouts{core::Layout::flat, core::Layout::nested};
  return applied;
}

void apply_valid_env_defaults(GlobalOptions& options) { (void)apply_env_defaults(options); }

Result<void, Failure> apply_env_defaults(GlobalOptions& global, LockOptions& lock) {
  if (auto applied = apply_env_defaults(global); !applied) return applied;
  if (auto checked = check_status_fd(lock.status_fd); !checked) return checked;
  auto applied = set_from_environment("GREX_LOCK_TIER_CHECK", lock.tier_check, tier_check_syntax);
  if (!lock.tier_check) lock.tier_check = TierCheck::enforce;
  if (!applied || lock.nonblock) return applied;
  applied = set_from_environment("GREX_LOCK_TIMEOUT", lock.timeout, duration_syntax);
  if (lock.timeout == std::chrono::nanoseconds::zero()) lock.nonblock = true;
  return applied;
}

Result<void, Failure> apply_env_default(std::optional<GitExclude>& option) {
  auto applied = set_from_environment("GREX_LOCK_GIT_EXCLUDE", option, git_exclude_syntax);
  if (!option) option = GitExclude::automatic;
  return applied;
}

Result<void, Failure> apply_env_default(std::optional<IfLost>& option) {
  auto applied = set_from_environment("GREX_LOCK_IF_LOST", option, if_lost_syntax);
  if (!option) option = IfLost::restore;
  return applied;
}

Result<std::optional<std::string>, Failure> log_file(const std::string& chosen) {
  constexpr const char* variable = "GREX_LOCK_LOG";
  std::optional<std::string> path;
  if (!chosen.empty()) {
    path = chosen;
  } else if (auto set = set_from_environment(variable, path, absolute_path_syntax); !set) {
    return set.error();
  }
  if (!path) return path;
  const std::string name = chosen.empty() ? variable : "--log";
  if (!path->starts_with('/')) {  // a hold that detaches changes to another directory
    const std::string here = sys::working_directory();
    if (here.empty()) return usage_failure("--log: the current directory has no path", "use an absolute path for FILE");
    path = path_in(here, *path);
  }
  if (core::tier_of_lock_file(core::lock_of_gate(*path))) {
    return usage_failure(fmt::format("{}: '{}' is a lock file", name, *path), "choose another file");
  }
  return path;
}

Result<bool, Failure> guards_by_default() {
  std::optional<bool> guards;
  if (auto set = set_from_environment("GREX_LOCK_GUARD", guards, switch_syntax); !set) return set.error();
  return guards.value_or(false);
}

Result<unsigned, Failure> default_slots(std::optional<unsigned> chosen) {
  if (auto set = set_from_environment(slots_variable, chosen, slots_syntax); !set) return set.error();
  return chosen ? *chosen : sys::cpu_count();
}

unsigned shown_slots() {
  const auto number = shown_slots_set();
  return number ? *number : sys::cpu_count();
}

bool is_shown_slots_guessed() { return !shown_slots_set(); }

}  // namespace grex::cli
