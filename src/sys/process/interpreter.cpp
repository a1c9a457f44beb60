#include "sys/process/interpreter.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/text.hpp"
#include "sys/file/file.hpp"
#include "sys/file/io.hpp"

namespace grex::sys {
namespace {

// 0, or errno.
int executable_error(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return errno;
  if (!S_ISREG(st.st_mode)) return EACCES;
  return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

// What follows `#!` in a script; empty if there is nothing, nullopt if it can't be read.
std::optional<std::string> interpreter_of(const std::string& program) {
  constexpr std::size_t longest_line = 256;  // BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h
  const UniqueFd fd = open_at(AT_FDCWD, program, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  const auto start = fd.is_open() ? read_start(fd.get(), longest_line) : Result<std::string>(std::string());
  if (!start || start->empty()) return std::nullopt;
  std::string_view line = *start;
  if (!line.starts_with("#!")) return std::string();
  line.remove_prefix(2);
  line = take_until(line, '\n');
  return std::string(take_word(line));
}

}  // namespace

std::optional<BadInterpreter> find_bad_interpreter(const std::string& command, int err) {
  constexpr int most_scripts = 5;  // exec_binprm in fs/exec.c
  std::string program = find_program(command);
  if (program.empty()) return std::nullopt;
  for (int i = 0; i < most_scripts; ++i) {
    auto interpreter = interpreter_of(program);
    if (!interpreter || interpreter->empty()) break;
    if (const int refusal = executable_error(*interpreter); refusal != 0) {
      return BadInterpreter{std::move(program), std::move(*interpreter), refusal};
    }
    program = std::move(*interpreter);
  }
  return err == ENOENT ? std::optional(BadInterpreter{std::move(program), {}, ENOENT}) : std::nullopt;
}

std::string find_program(const std::string& command) {
  if (command.find('/') != std::string::npos) return executable_error(command) == 0 ? command : std::string();
  const char* const variable = ::getenv("PATH");
  std::string_view directories = variable != nullptr ? variable : "/bin:/usr/bin";
  // An empty part is the working directory, also at the end.
  for (bool is_last = command.empty(); !is_last;) {
    is_last = directories.find(':') == std::string_view::npos;
    const std::string_view directory = take_until(directories, ':');
    std::string path = directory.empty() ? command : path_in(directory, command);
    if (executable_error(path) == 0) return path;
  }
  return {};
}

}  // namespace grex::sys
