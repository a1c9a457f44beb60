#pragma once

#include <string>

#include "base/error.hpp"
#include "cli/report/json.hpp"

namespace grex::cli {

/// An event as the log has it: of commands only the program's name, and of messages about a
/// busy lock, which show commands, only the beginning. Arguments may be secrets.
Json without_arguments(Json event);

/// The warning that a line could not be written (sys::append_to_log).
std::string log_warning(const Error& error);

}  // namespace grex::cli
