#pragma once

#include <sys/types.h>

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

/// A lock that an ancestor took, as an entry of this variable.
struct StackEntry {
  Tier tier = Tier::per_pack;
  std::string path;  ///< of the lock file, for people; `file` is its identity
  sys::FileId file;  ///< st_dev and st_ino
  pid_t pid = 0;     ///< the process that took it
  sys::Mode mode = sys::Mode::exclusive;
};

/// Outermost first.
using TierStack = std::vector<StackEntry>;

/// Empty text is an empty stack. Errors: stack, for anything that to_text could not have
/// written; a stack that can't be read would protect nothing.
Result<TierStack> parse_tier_stack(std::string_view text);

std::string to_text(const TierStack& stack);

/// The length of the longest text that fits into one environment variable (execve(2),
/// MAX_ARG_STRLEN: 128 KiB) with a name of up to 31 characters.
inline constexpr std::size_t longest_stack_text = 128UL * 1024 - 32;

enum class Reentrant { no, yes };

/// Whether a lock may be taken below the locks of a stack.
struct Verdict {
  enum class Kind {
    take,            ///< no entry forbids it
    already_ours,    ///< an ancestor holds this very lock, and that is enough
    reentry,         ///< an ancestor holds this very lock: waiting would never end
    tier_violation,  ///< an ancestor holds a lock of this tier or a higher one
  };
  Kind kind = Kind::take;
  const StackEntry* because = nullptr;  ///< borrowed from the stack; null with `take`
};

/// `files` are the existing lock files of the wanted lock, any one of which is the lock.
/// Pure; assumes that the entries are live.
Verdict judge(const TierStack& stack, Tier tier, const std::vector<sys::FileId>& files, sys::Mode mode,
              Reentrant reentrant);

}  // namespace grex::core
