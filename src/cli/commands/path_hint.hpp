#pragma once

#include <optional>
#include <string>

#include "cli/args/command_line.hpp"
#include "cli/report/failure.hpp"

namespace grex::cli {

/// Adds to a Failure of a PATH that leads to no directory what to type instead, if it has no
/// hint yet. Looks at the file system again.
Failure with_path_hint(Failure failure, const CommandLine& line);

/// The directory that was probably meant by a path of which a name is mistyped: the same path
/// with a similar name. nullopt if there is none.
std::optional<std::string> find_similar_directory(const std::string& path);

}  // namespace grex::cli
