#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/args/option_values.hpp"
#include "core/lock/target.hpp"
#include "core/lock/tier_stack.hpp"
#include "sys/lock/flock.hpp"

namespace CLI {
class Option;
}

namespace grex::cli {

class Parser;

struct GlobalOptions {
  bool json = false;
  Color color = Color::when_terminal;
  std::optional<core::Layouts> layouts;
  bool operator==(const GlobalOptions&) const = default;
};

/// The value of --guard without a DIR: the workspaces above each pack. No directory can have
/// this name.
inline constexpr std::string_view guard_above = "/dev/null/above";

/// The options of the commands that take locks.
struct LockOptions {
  std::vector<std::string> paths;  ///< at `tier`
  core::Tier tier = core::Tier::per_pack;
  std::vector<NamedLock> locks;  ///< of -l
  sys::Mode mode = sys::Mode::exclusive;
  std::optional<unsigned> slots;  ///< 0: no limit
  bool nonblock = false;
  std::optional<std::chrono::nanoseconds> timeout;
  std::optional<int> conflict_exit_code;
  std::vector<std::string> guards;  ///< of --guard: a workspace, or guard_above
  core::Reentrant reentrant = core::Reentrant::no;
  std::optional<TierCheck> tier_check;
  core::CreateTarget create = core::CreateTarget::no;
  std::string note;
  bool record = true;
  std::optional<GitExclude> git_exclude;
  std::optional<int> status_fd;  ///< borrowed, for events
  Verbosity verbosity = Verbosity::normal;
  bool operator==(const LockOptions&) const = default;
};

void add_global_options(Parser& parser, GlobalOptions& options);

/// At most one PATH; or any number. An empty one is an error: most often, a variable is
/// unset.
void add_path(Parser& parser, std::string& path);
void add_paths(Parser& parser, std::vector<std::string>& paths);

/// Any number of PATHs, and -l.
void add_locks(Parser& parser, LockOptions& options);

/// -t.
void add_tier_option(Parser& parser, core::Tier& tier);

/// -t, -s, -x, --reentrant, --tier-check, -E, -q, -v.
void add_choice_options(Parser& parser, LockOptions& options);

/// --slots.
void add_slots_option(Parser& parser, LockOptions& options);

/// --guard.
void add_guard_option(Parser& parser, LockOptions& options);

/// --create.
void add_create_option(Parser& parser, LockOptions& options);

/// -n, -w, --json-status-fd.
void add_waiting_options(Parser& parser, LockOptions& options);

/// --note, --no-record, --git-exclude.
void add_record_options(Parser& parser, LockOptions& options);

/// All of these, for the commands that keep their locks.
void add_lock_options(Parser& parser, LockOptions& options);

/// An option whose value is a duration.
CLI::Option* add_duration(Parser& parser, const std::string& names, std::optional<std::chrono::nanoseconds>& duration,
                          const std::string& description);

/// An option whose value is a descriptor or a PID; `type` is its placeholder (FD, PID).
CLI::Option* add_number(Parser& parser, const std::string& names, std::optional<int>& number, const std::string& type,
                        const std::string& description);

}  // namespace grex::cli
