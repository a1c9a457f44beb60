#pragma once

#include <sys/types.h>

#include "core/lock/record.hpp"

namespace grex::core {

enum class Match { yes, no, unknown };

/// Whether the process that has this number in /proc now is the one that wrote the record;
/// `unknown` if it can't be seen, or is gone. The record must be of this boot.
Match is_writer(const Record& record, pid_t pid);

}  // namespace grex::core
