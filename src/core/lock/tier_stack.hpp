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

/// The environment's variable in which the locks of ancestors travel.
inline constexpr const char* stack_variable = "GREX_LOCK_STACK";

/// One lock that an ancestor took, as it travels there.
struct StackEntry {
  Tier tier = Tier::per_pack;
  std::string path;  ///< of the lock file, for people; `file` is its identity
  sys::FileId file;  ///< st_dev and st_ino
  pid_t pid = 0;     ///< who took it
  sys::Mode mode = sys::Mode::exclusive;
};

/// Outermost first.
using TierStack = std::vector<StackEntry>;

/// Empty text is an empty stack. Errors: stack, for anything that to_text could
/// not have written; a stack that can't be read protects nobody.
Result<TierStack> parse_tier_stack(std::string_view text);

std::string to_text(const TierStack& stack);

/// The longest text of a stack: what fits into one variable of the environment
/// (execve(2), MAX_ARG_STRLEN: 128 KiB) with a name of up to 31 characters.
inline constexpr std::size_t longest_stack_text = 128UL * 1024 - 32;

enum class Reentrant { no, yes };

/// Whether a lock may be taken below the locks of a stack.
struct Verdict {
  enum class Kind {
    take,            ///< nothing stands against it
    already_ours,    ///< an ancestor holds this very lock, and that will do
    reentry,         ///< an ancestor holds this very lock: waiting would never end
    tier_violation,  ///< an ancestor holds a lock of this tier or a higher one
  };
  Kind kind = Kind::take;
  const StackEntry* because = nullptr;  ///< borrowed from the stack; null with `take`
};

/// `files` are the existing lock files of the wanted lock, any of which would
/// be it. Pure; the entries are taken to be live.
Verdict judge(const TierStack& stack, Tier tier, const std::vector<sys::FileId>& files, sys::Mode mode,
              Reentrant reentrant);

}  // namespace grex::core
