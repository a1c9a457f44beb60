#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/lock/held_lock.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::cli {

/// How --export prints the stack.
enum class ExportForm {
  shell,  ///< for a shell to evaluate: `export GREX_LOCK_STACK=…`
  env,    ///< for a file of environment variables, such as those of CI systems:
          ///< `GREX_LOCK_STACK=…`, without quotes, which such a file would keep
};

/// The line by which other processes take over the stack.
std::string export_line(const core::TierStack& stack, ExportForm form);

/// The --json document of a command that holds these files.
std::string held_document(std::string_view verb, const core::TierStack& held);

/// The paths of the locks' first files, separated by commas; or of a lock without files, its name.
std::string paths_of(const std::vector<core::HeldLock>& locks);

/// What the command of `run` learns of those that a cluster keeps, if there are any, as settings of environment
/// variables; without a value, the variable is unset. With one such lock, its token and key; of any
/// number, GREX_LOCK_TOKENS as JSON, and what distinguishes the cluster.
std::vector<std::string> token_settings(const std::vector<core::HeldLock>& locks);

/// The names of those that a cluster keeps.
std::string cluster_names_of(const std::vector<core::HeldLock>& locks);

/// The same with their tokens, for people.
std::string cluster_text_of(const std::vector<core::HeldLock>& locks);

}  // namespace grex::cli
