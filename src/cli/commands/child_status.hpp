#pragma once

#include "base/exit_code.hpp"
#include "cli/report/failure.hpp"
#include "sys/process/child.hpp"

namespace grex::cli {

/// The exit status of a command that exits as its child did.
inline ExitStatus status_of(const sys::ChildEnd& end) {
  return {end.killed ? exit_code::signal_base + end.status : end.status, end.from_terminal};
}

}  // namespace grex::cli
