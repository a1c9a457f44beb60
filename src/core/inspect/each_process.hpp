#pragma once

#include <sys/types.h>

#include <functional>

#include "base/stop_token.hpp"

namespace grex::core {

/// Calls `visit` once for each process that /proc shows, also for those that start in the
/// meantime: one that ends may have left what it has open to them. `visit` returns whether
/// the process was still there. Returns whether all were visited: not if it should stop, or
/// if processes keep coming and going too quickly.
bool for_each_process(const std::function<bool(pid_t pid)>& visit, const StopToken& should_stop);

/// Whether /proc may hide processes of other users. Root sees all.
bool may_hide_processes();

}  // namespace grex::core
