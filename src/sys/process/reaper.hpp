#pragma once

#include <sys/types.h>

#include <optional>

namespace grex::sys {

/// The process that adopts our descendants when their parent ends: init, or a subreaper
/// above us (prctl(2), PR_SET_CHILD_SUBREAPER), which the kernel shows nowhere. It is
/// found by leaving it an orphan, which ends immediately. nullopt if the system refuses.
std::optional<pid_t> adopter_of_orphans();

}  // namespace grex::sys
