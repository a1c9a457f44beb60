#pragma once

#include <optional>
#include <string>

namespace grex::sys {

/// The interpreter for which execve(2) refuses a program that may be executed itself.
struct BadInterpreter {
  std::string of;    ///< the file that names it: the program, or an interpreter that is a script, too
  std::string path;  ///< after `#!`; empty if unknown, such as the dynamic loader of a binary
  int err = 0;       ///< errno: why it can't be executed
};

/// Finds it after execvp(3) of `command` has failed with `err`; nullopt if the interpreter is
/// not the cause. Looks at the files again.
std::optional<BadInterpreter> find_bad_interpreter(const std::string& command, int err);

/// The file that execvp(3) finds for a command; empty if there is none.
std::string find_program(const std::string& command);

}  // namespace grex::sys
