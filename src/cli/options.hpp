#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/failure.hpp"
#include "cli/invocation.hpp"
#include "core/target.hpp"
#include "core/tier_stack.hpp"
#include "sys/flock.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace grex::cli {

enum class Color { when_terminal, always, never };
enum class TierCheck { enforce, warn, off };
enum class Verbosity { quiet, normal, verbose };

struct GlobalOptions {
  bool json = false;
  Color color = Color::when_terminal;
  std::optional<core::Layouts> layouts;
};

/// A lock that the user has named.
struct NamedLock {
  core::Tier tier = core::Tier::per_pack;
  std::string path;
};

/// What the commands that take locks let the user choose.
struct LockOptions {
  std::vector<std::string> paths;  ///< at the one tier
  core::Tier tier = core::Tier::per_pack;
  std::vector<NamedLock> locks;  ///< and those of -l
  sys::Mode mode = sys::Mode::exclusive;
  std::optional<unsigned> slots;  ///< 0: unbounded
  bool nonblock = false;
  std::optional<std::chrono::nanoseconds> timeout;
  std::optional<int> conflict_exit_code;
  core::Reentrant reentrant = core::Reentrant::no;
  std::optional<TierCheck> tier_check;
  core::CreateTarget create = core::CreateTarget::no;
  std::string note;
  bool record = true;
  std::optional<int> status_fd;  ///< borrowed, for events
  Verbosity verbosity = Verbosity::normal;
};

void add_global_options(CLI::App& app, GlobalOptions& options);

/// What --help says before and after the options; neither ends with a newline.
void set_help(CLI::App& app, const std::string& usage, const std::string& examples);

/// One PATH at most; or any number. None may be an empty word, most often a
/// variable that was never set.
void add_path(CLI::App& app, std::string& path);
void add_paths(CLI::App& app, std::vector<std::string>& paths);

/// Any number of PATHs, and -l.
void add_locks(CLI::App& app, LockOptions& options);

/// -t.
void add_tier_option(CLI::App& app, core::Tier& tier);

/// -t, -s, -x, --reentrant, --tier-check, -E, -q, -v.
void add_choice_options(CLI::App& app, LockOptions& options);

/// --slots.
void add_slots_option(CLI::App& app, LockOptions& options);

/// --create.
void add_create_option(CLI::App& app, LockOptions& options);

/// -n, -w, --json-status-fd.
void add_waiting_options(CLI::App& app, LockOptions& options);

/// --note, --no-record.
void add_record_options(CLI::App& app, LockOptions& options);

/// An option whose value is a duration.
CLI::Option* add_duration(CLI::App& app, const std::string& names, std::optional<std::chrono::nanoseconds>& duration,
                          const std::string& description);

/// A descriptor's number, or a process's, as `type` (FD, PID): not negative.
CLI::Option* add_number(CLI::App& app, const std::string& names, std::optional<int>& number, const std::string& type,
                        const std::string& description);

/// The command line into the options that were added to `app`. An Outcome means
/// that the command ends here: --help, --version (both have been printed then),
/// or a usage error.
std::optional<Outcome> parse(CLI::App& app, const Invocation& invocation);

/// Fills in what the environment, or else the default, decides where the command
/// line is silent: GREX_LOCK_LAYOUT; GREX_LOCK_TIER_CHECK and GREX_LOCK_TIMEOUT.
/// A Failure names the variable, or tells that --json-status-fd can't be written.
std::optional<Failure> complete(GlobalOptions& options);
std::optional<Failure> complete(GlobalOptions& global, LockOptions& lock);

/// The permits of tier semaphore, where --slots does not tell: GREX_PARALLEL,
/// else the number of CPUs. 0 is unbounded. A Failure names the variable.
std::optional<Failure> apply_default(std::optional<unsigned>& slots);

}  // namespace grex::cli
