#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace grex::core {

/// The process of `--while-pid` in the command line of a hold, the program's name included;
/// nullopt for any other command.
using WatchedPid = std::function<std::optional<pid_t>(const std::vector<std::string>& command)>;

/// The process whose end a hold waits for, which is in our PID namespace. nullopt if it waits for
/// none, or if that has ended: a later process may have its number, until the hold notices.
std::optional<pid_t> watched_by(pid_t hold, const WatchedPid& watched_pid);

/// The same, if the hold's command line was read already.
std::optional<pid_t> watched_by(pid_t hold, const std::vector<std::string>& command, const WatchedPid& watched_pid);

}  // namespace grex::core
