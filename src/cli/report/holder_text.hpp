#pragma once

#include <string>
#include <vector>

#include "base/time_text.hpp"
#include "core/inspect/inspect.hpp"

namespace grex::cli {

/// How much a line says of a holder: all; all but the date since when; or only what
/// fits if there is little room.
enum class Detail { all, no_date, brief };

/// The process that holds a lock, since when, its command and its note: one line,
/// without the newline. Says so if that can't be known.
std::string holder_line(const std::vector<core::LockProcess>& holders, UtcTime now, Detail detail = Detail::all);

}  // namespace grex::cli
