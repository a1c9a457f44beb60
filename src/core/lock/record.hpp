#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time_text.hpp"
#include "core/lock/tier.hpp"

namespace grex::core {

/// What distinguishes a process from all others, earlier and later ones included.
struct ProcessIdentity {
  pid_t pid = 0;                 ///< in the PID namespace `pid_ns`
  std::uint64_t start_time = 0;  ///< clock ticks after boot
  std::string boot_id;
  std::string pid_ns;  ///< as /proc/PID/ns/pid names it: "pid:[4026531836]"
  std::string host;
};

/// The identity of this process. Unknown parts are 0 or empty.
ProcessIdentity own_identity();

/// The size of the longest record in bytes, with its newline.
inline constexpr std::size_t record_limit = 4096;

/// What an exclusive holder writes about itself into the lock file, for people to read.
/// It is advice: only the kernel knows whether the lock is held.
struct Record {
  ProcessIdentity writer;
  uid_t uid = 0;
  std::vector<std::string> command;  ///< what runs under the lock
  std::string cwd;
  Tier tier = Tier::per_pack;
  UtcTime since;
  std::string note;
  std::string verb;
};

/// One line of JSON of at most record_limit bytes; what does not fit is cut
/// from the command first, then from the note and the directory.
std::string to_line(const Record& record);

/// nullopt for anything that to_line could not have written.
std::optional<Record> parse_record(std::string_view text);

}  // namespace grex::core
