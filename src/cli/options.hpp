#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cli/failure.hpp"
#include "cli/invocation.hpp"
#include "core/target.hpp"
#include "core/tier_stack.hpp"
#include "sys/flock.hpp"

namespace CLI {
class App;
}

namespace grex::cli {

enum class Color { when_terminal, always, never };
enum class TierCheck { enforce, warn, off };
enum class Verbosity { quiet, normal, verbose };

struct GlobalOptions {
  bool json = false;
  Color color = Color::when_terminal;
  std::optional<core::Layout> layout;
};

/// What every command that takes a lock lets the user choose.
struct LockOptions {
  std::string path;
  core::Tier tier = core::Tier::per_pack;
  sys::Mode mode = sys::Mode::exclusive;
  bool nonblock = false;
  std::optional<std::chrono::nanoseconds> timeout;
  std::optional<int> conflict_exit_code;
  core::Reentrant reentrant = core::Reentrant::no;
  std::optional<TierCheck> tier_check;
  core::CreateTarget create = core::CreateTarget::no;
  std::string note;
  bool record = true;
  Verbosity verbosity = Verbosity::normal;
};

void add_global_options(CLI::App& app, GlobalOptions& options);

/// A check for a PATH that is an empty word, most often a variable that was
/// never set. Empty text means that it is none.
std::string refuse_empty_path(const std::string& path);

/// What --help says before and after the options; neither ends with a newline.
void set_help(CLI::App& app, const std::string& usage, const std::string& examples);

/// -t, -s, -x, -E, --reentrant, --tier-check, -q, -v.
void add_probe_options(CLI::App& app, LockOptions& options);

/// Those, and -n, -w, --create, --note, --no-record.
void add_lock_options(CLI::App& app, LockOptions& options);

/// The command line into the options that were added to `app`. An Outcome means
/// that the command ends here: --help, --version (both have been printed then),
/// or a usage error.
std::optional<Outcome> parse(CLI::App& app, const Invocation& invocation);

/// Fills in what the environment, or else the default, decides where the command
/// line is silent: GREX_LOCK_LAYOUT; GREX_LOCK_TIER_CHECK and GREX_LOCK_TIMEOUT.
/// A Failure names the variable.
std::optional<Failure> apply_environment(GlobalOptions& options);
std::optional<Failure> apply_environment(LockOptions& options);

/// The permits of tier semaphore: GREX_PARALLEL, else the number of CPUs.
struct Slots {
  unsigned count = 0;  ///< 0: unbounded
  std::optional<Failure> failure = {};
};
Slots default_slots();

}  // namespace grex::cli
