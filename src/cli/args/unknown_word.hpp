#pragma once

#include <string_view>

// What to type instead of a word that is not known. The result is empty if that isn't, either.

namespace grex::cli {

/// The hint for a word copied from a text whose hyphens or quotes were replaced by typographic
/// ones.
std::string_view typographic_hint(std::string_view word);

/// The command that does what other programs call by this name.
std::string_view command_like(std::string_view word);

/// The hint for an option of flock(1), or of another command, that this command does not have.
std::string_view missing_option_hint(std::string_view verb, std::string_view option);

}  // namespace grex::cli
