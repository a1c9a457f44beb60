#pragma once

#include <string>
#include <vector>

#include "core/inspect/inspect.hpp"

namespace grex::cli {

/// How much a line tells of a holder: all; all but the date since when; or just
/// what fits where there is little room.
enum class Detail { all, no_date, brief };

/// Who holds a lock, since when, running what, with its note: one line, without
/// the newline. Says so where that can't be known.
std::string holder_line(const std::vector<core::Party>& holders, core::UtcTime now, Detail detail = Detail::all);

}  // namespace grex::cli
