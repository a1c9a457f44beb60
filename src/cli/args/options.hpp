#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "cli/args/cluster_options.hpp"
#include "cli/args/option_values.hpp"
#include "cli/report/failure.hpp"
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
  std::vector<std::string> paths;
  std::optional<core::Tier> tier;  ///< of the PATHs
  std::vector<NamedLock> locks;    ///< of -l
  sys::Mode mode = sys::Mode::exclusive;
  std::optional<unsigned> slots;  ///< 0: no limit
  bool nonblock = false;
  std::optional<std::chrono::nanoseconds> timeout;
  std::optional<int> conflict_exit_code;
  std::vector<std::string> guards;  ///< of --guard: a workspace, or guard_above
  ClusterOptions cluster;
  core::Reentrant reentrant = core::Reentrant::no;
  std::optional<TierCheck> tier_check;
  core::CreateTarget create = core::CreateTarget::no;
  std::string note;
  bool record = true;
  std::optional<GitExclude> git_exclude;
  std::optional<int> status_fd;  ///< borrowed, for events
  std::string log;               ///< the file for events; empty: none, or that of GREX_LOCK_LOG
  Verbosity verbosity = Verbosity::normal;
  bool operator==(const LockOptions&) const = default;

  [[nodiscard]] core::Tier tier_of_paths() const { return tier.value_or(core::Tier::per_pack); }
};

/// The titles of groups of options in --help.
namespace group {
inline constexpr const char* what_to_lock = "What to lock (default PATH: the pack around the current directory)";
inline constexpr const char* which_locks = "Which locks (default PATH: the pack around the current directory)";
inline constexpr const char* if_busy = "If a lock is busy, or an ancestor holds it";
inline constexpr const char* records_and_reports = "Records and reports";
inline constexpr const char* reports = "Reports";
}  // namespace group

inline constexpr const char* results_as_json = "print results and errors as JSON";

// These functions add options in the order in which --help lists them.

/// At most one PATH; or any number. An empty one is an error: most often, a variable is
/// unset.
void add_path(Parser& parser, std::string& path);
void add_paths(Parser& parser, std::vector<std::string>& paths);

/// -t.
void add_tier_option(Parser& parser, std::optional<core::Tier>& tier,
                     const std::string& description = "tier of each PATH (default: per-pack)");

/// -l, and any number of PATHs.
void add_locks(Parser& parser, LockOptions& options);

/// --guard.
void add_guard_option(Parser& parser, LockOptions& options,
                      const std::string& description = "keep grex sync, update and teardown out, too");

/// --slots.
void add_slots_option(Parser& parser, std::optional<unsigned>& slots);

/// -s, -x.
void add_mode_options(Parser& parser, LockOptions& options);

/// --layout.
void add_layout_option(Parser& parser, GlobalOptions& options);

/// -n, -w.
void add_waiting_options(Parser& parser, LockOptions& options);

/// -w, of a command that has it or more to wait for.
CLI::Option* add_timeout_option(Parser& parser, std::optional<std::chrono::nanoseconds>& timeout,
                                const std::string& description);

/// -E, --reentrant, --tier-check.
void add_busy_options(Parser& parser, LockOptions& options);

/// The groups "What to lock" and "If a lock is busy", with PATHs and --create, for the commands
/// that create lock files.
void add_lock_options(Parser& parser, LockOptions& options, GlobalOptions& global);

/// --note, --no-record, --git-exclude.
void add_record_options(Parser& parser, LockOptions& options);

/// --log, --json-status-fd.
void add_event_options(Parser& parser, LockOptions& options);

/// --json, --color.
void add_output_options(Parser& parser, GlobalOptions& options, const std::string& json_description = results_as_json);

/// -q, -v.
void add_verbosity_options(Parser& parser, Verbosity& verbosity,
                           const std::string& quietly = "don't report busy locks, waits or warnings");

/// -h, -V.
void add_help_options(Parser& parser);

/// The group "Records and reports", for the commands that write records.
void add_report_options(Parser& parser, LockOptions& options, GlobalOptions& global,
                        const std::string& json_description = results_as_json);

/// --if-lost.
CLI::Option* add_if_lost_option(Parser& parser, std::optional<IfLost>& if_lost);

/// --export, whose value is empty without it; export_form() parses that.
CLI::Option* add_export_option(Parser& parser, std::string& value);

/// The form that --export names; nullopt without it. A Failure is a usage error.
Result<std::optional<ExportForm>, Failure> export_form(const std::string& value);

/// An option whose value is a duration.
CLI::Option* add_duration(Parser& parser, const std::string& names, std::optional<std::chrono::nanoseconds>& duration,
                          const std::string& description);

/// An option whose value is a PID.
CLI::Option* add_pid(Parser& parser, const std::string& names, std::optional<int>& pid, const std::string& description);

/// --token.
void add_token(Parser& parser, std::optional<std::uint64_t>& token);

}  // namespace grex::cli
