#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "core/lock/tier.hpp"
#include "sys/file/file.hpp"
#include "sys/lock/flock.hpp"

namespace grex::core {

/// The environment variable that passes the locks of ancestors on.
inline constexpr const char* stack_variable = "GREX_LOCK_STACK";

/// A lock of a cluster that is held.
struct ClusterEntry {
  std::string id;           ///< what distinguishes the cluster from all others
  std::string ns;           ///< the namespace
  std::string name;         ///< of the lock
  std::string key;          ///< that stands for it there
  std::uint64_t token = 0;  ///< a later exclusive holder's is larger
  std::string lease;
};

/// A file that an ancestor locked, as an entry of this variable: one of the files of a lock. Or a
/// lock that only a cluster keeps, which has no file: then `path` is empty.
struct StackEntry {
  Tier tier = Tier::per_pack;
  std::string path;  ///< of the file, for people; `file` is its identity
  sys::FileId file;  ///< st_dev and st_ino
  pid_t pid = 0;     ///< the process that took it
  sys::Mode mode = sys::Mode::exclusive;
  /// When it was taken: CLOCK_BOOTTIME, in nanoseconds. Releases before 0.2 don't write it.
  std::optional<std::uint64_t> taken = {};
  std::optional<ClusterEntry> cluster = {};  ///< if a cluster keeps the lock, too

  /// The path of the file, or the name of the lock if it has none.
  [[nodiscard]] const std::string& shown_name() const { return path.empty() && cluster ? cluster->name : path; }
};

/// Outermost first.
using TierStack = std::vector<StackEntry>;

/// Whether an ancestor's lock is still held. Its entry is in the environment, so it
/// outlives the lock in processes that the ancestor's command left behind.
enum class Liveness {
  live_proved,    ///< held, and for this process
  live_unproved,  ///< may be held
  stale,          ///< known to be released
};
inline bool is_live(Liveness liveness) { return liveness != Liveness::stale; }

struct VerifiedEntry {
  StackEntry entry;
  Liveness liveness = Liveness::live_unproved;
};
using VerifiedStack = std::vector<VerifiedEntry>;

/// The entries that are live, in the same order.
TierStack live_entries(const VerifiedStack& stack);

/// Empty text is an empty stack. Errors: stack, for anything that to_text could not have
/// written; a stack that can't be read would protect nothing.
Result<TierStack> parse_tier_stack(std::string_view text);

/// JSON. Within single quotes, no shell changes it, and none needs to be escaped there.
std::string to_text(const TierStack& stack);

/// Appends the entry of a lock that this process has just taken. If that is exclusive, no
/// other entry for the same file can be live, and those are removed.
void add_entry(TierStack& stack, StackEntry entry);

/// The length of the longest text that fits into one environment variable (execve(2),
/// MAX_ARG_STRLEN: 128 KiB) with a name of up to 31 characters.
inline constexpr std::size_t longest_stack_text = 128UL * 1024 - 32;

/// An upper bound for the text of an entry, in bytes, whatever its path contains; and for that of
/// its lock in a cluster, if it has a name there.
constexpr std::size_t longest_entry(std::size_t path_size, std::size_t name_size = 0) {
  constexpr std::size_t without_path = 256;
  constexpr std::size_t without_name = 512;
  constexpr std::size_t escaped_byte = 6;
  constexpr std::size_t times_named = 4;  // percent-encoded in the key, too
  const std::size_t in_cluster = name_size == 0 ? 0 : without_name + times_named * escaped_byte * name_size;
  return without_path + escaped_byte * path_size + in_cluster;
}

enum class Reentrant { no, yes };

/// Whether an entry is that of the lock with this name in this namespace of a cluster.
bool is_of_cluster_lock(const StackEntry& entry, Tier tier, const std::string& ns, const std::string& name);

/// Whether a lock that is held in one mode is enough for a process that wants the other.
bool is_enough(sys::Mode held, sys::Mode wanted);

/// Whether a file may be locked below the locks of a stack.
struct Verdict {
  enum class Kind {
    take,            ///< no entry forbids it
    already_ours,    ///< an ancestor holds this very lock, and that is enough
    seems_ours,      ///< that may be so, but isn't proved: trying it once shows it
    reentry,         ///< an ancestor holds this very lock: waiting would never end
    tier_violation,  ///< an ancestor holds a lock of this tier or a higher one
  };
  Kind kind = Kind::take;
  const VerifiedEntry* because = nullptr;  ///< borrowed from the stack; null with `take`
};

/// A file that is wanted.
struct WantedFile {
  Tier tier = Tier::per_pack;
  /// The existing files, any one of which it is: at tier semaphore those of the slots.
  std::vector<sys::FileId> files;
  /// Those of the same lock that are taken before it: its tier rule doesn't apply to them.
  std::vector<sys::FileId> before;
  sys::Mode mode = sys::Mode::exclusive;
  /// The paths of `files`, also of those that are missing, and of `before`. An entry with such
  /// a path is the same lock, although its file was removed: it may have been restored.
  std::vector<std::string> paths = {};
  std::vector<std::string> paths_before = {};
  /// If it is a lock of a cluster: the namespace and the name. An entry with both, and its tier, is
  /// the same lock; the cluster itself is known only when it is asked.
  std::string cluster_ns = {};
  std::string cluster_name = {};
};

/// Only live entries count. Pure.
Verdict judge(const VerifiedStack& stack, const WantedFile& wanted, Reentrant reentrant);

}  // namespace grex::core
