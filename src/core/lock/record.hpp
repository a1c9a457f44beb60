#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time_text.hpp"
#include "core/lock/tier.hpp"

namespace grex::core {

/// What distinguishes a process from all others, earlier and later ones included. Parts that
/// aren't known are 0 or empty.
struct ProcessIdentity {
  pid_t pid = 0;                 ///< in the PID namespace `pid_ns`
  std::uint64_t start_time = 0;  ///< clock ticks after boot
  std::string boot_id;
  std::string pid_ns;  ///< as /proc/PID/ns/pid names it: "pid:[4026531836]"
  std::string host;
};

/// The identity of this process.
ProcessIdentity own_identity();

/// What of it is known without reading /proc: `pid` and `host`.
ProcessIdentity own_number();

/// The size of the longest record in bytes, with its newline.
inline constexpr std::size_t record_limit = 4096;

/// How a lock was released.
struct Release {
  UtcTime time;
  std::chrono::milliseconds held{0};
  std::optional<int> exit_code;  ///< of what ran under the lock
};

/// What an exclusive holder writes about itself into the lock file, for people to read.
/// It is advice: only the kernel knows whether the lock is held.
struct Record {
  ProcessIdentity writer;
  std::optional<std::uint64_t> taken;  ///< as in StackEntry; grex-lock 0.1 wrote none
  uid_t uid = 0;
  /// The name of the program that runs under the lock. Never its arguments, which may be
  /// secrets; only grex-lock 0.1 wrote them.
  std::vector<std::string> command;
  std::string cwd;
  std::string path;  ///< of the lock file; grex-lock 0.1 wrote none
  Tier tier = Tier::per_pack;
  UtcTime since;
  std::string note;
  std::string verb;
  std::optional<int> while_pid = {};    ///< the process with which a `hold` ends
  std::optional<Release> release = {};  ///< if it isn't held any more
};

/// One line of JSON of at most record_limit bytes. Of what does not fit, the longest texts
/// are cut. grex-lock 0.1 can read it, too.
std::string to_line(const Record& record);

/// The line of a record that has no `release`, with it. Costs less than to_line.
std::string released_line(std::string line, const Release& release);

/// nullopt for anything that to_line could not have written. White space may follow.
std::optional<Record> parse_record(std::string_view text);

/// What a record would replace in a lock file.
enum class Content {
  nothing,
  record,  ///< or what is left of one after a crash, or with what another program has added
  other,   ///< it must not be replaced
};

/// `text` is the start of the file, longer than record_limit if the file is. It need not be
/// parsed: whatever begins as a record does may be replaced.
Content classify(std::string_view text);

}  // namespace grex::core
