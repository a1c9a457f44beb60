#include "cli/commands/run_line.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cli/commands/path_hint.hpp"
#include "cli/locking/omitted_path.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "sys/file/file.hpp"
#include "sys/process/interpreter.hpp"

namespace grex::cli {
namespace {

bool is_directory(const std::string& word) { return static_cast<bool>(sys::open_directory(word)); }

// The first word that names no directory is no command, either, so it is a mistyped PATH.
Failure mistyped_path(CommandLine line, LockOptions options, std::vector<std::string> extras, std::size_t at) {
  std::vector<std::string>& words = line.arguments;
  const std::string word = words[at];
  Failure failure = failure_from(sys::open_directory(word).error(), options.tier_of_paths());
  if (auto similar = find_similar_directory(word)) {
    std::replace(options.paths.begin(), options.paths.end(), word, *similar);
    words[at] = std::move(*similar);
    at = find_command_start(words, std::move(options.paths), std::move(extras), false).at;
  } else {
    if (failure.err == ENOENT) failure.why = "no such directory or command";
    words.resize(at);
    if (at == 0 || !is_directory(words.back())) {  // no PATH is left
      failure.hint = "PATH is a directory, and CMD follows '--'";
      return failure;
    }
  }
  failure.hint = "try: " + line_with_separator(words, at);
  return failure;
}

bool names_no_lock(const LockOptions& options) {
  return options.paths.empty() && options.locks.empty() && !options.cluster.name;
}

Failure missing_separator(const CommandLine& line, std::size_t first) {
  return usage_failure("'--' is missing before the command", "try: " + line_with_separator(line.arguments, first));
}

// The first word that is surely the command, as for find_missing_separator. The value of an
// option is not opened: its file system may not answer.
std::size_t find_program_word(const std::vector<std::string>& words, const std::vector<std::string>* paths) {
  const auto may_be_path = [&](std::size_t i) {
    if (paths != nullptr) return std::find(paths->begin(), paths->end(), words[i]) != paths->end();
    return i == 0 || !words[i - 1].starts_with('-');
  };
  for (std::size_t i = 1; i < words.size(); ++i) {
    const bool is_behind_path = !words[i].starts_with('-') && may_be_path(i - 1) && is_directory(words[i - 1]);
    if (is_behind_path && !is_directory(words[i]) && !sys::find_program(words[i]).empty()) return i;
  }
  return words.size();
}

}  // namespace

std::string line_with_separator(std::vector<std::string> words, std::size_t first) {
  const bool has_command = first < words.size();
  words.insert(words.begin() + static_cast<std::ptrdiff_t>(first), "--");
  return own_line("run", std::move(words)) + (has_command ? "" : " CMD");
}

CommandStart find_command_start(const std::vector<std::string>& words, std::vector<std::string> paths,
                                std::vector<std::string> extras, bool paths_may_be_missing) {
  CommandStart start{words.size()};
  // From the back: an option's value, before the PATHs, may equal one of them.
  for (std::size_t i = words.size(); i-- > 0;) {
    if (!extras.empty() && words[i] == extras.back()) {
      extras.pop_back();
      start = {i, true};
    } else if (!paths.empty() && words[i] == paths.back()) {
      if (!paths_may_be_missing && !is_directory(paths.back())) start = {i};
      paths.pop_back();
    }
  }
  return start;
}

Failure not_a_path(const CommandLine& line, const LockOptions& options, std::vector<std::string> extras,
                   std::size_t at) {
  const bool is_program = !sys::find_program(line.arguments[at]).empty();
  return is_program ? missing_separator(line, at) : mistyped_path(line, options, std::move(extras), at);
}

Failure missing_command(const CommandLine& line, const LockOptions& options) {
  std::vector<std::string> words = line.arguments;
  if (names_no_lock(options) && !may_omit_path(options.tier_of_paths())) words.emplace_back("PATH");
  const std::size_t end = words.size();
  return usage_failure("CMD is missing", "try: " + line_with_separator(std::move(words), end));
}

std::optional<Failure> check_wrapped_path(const CommandLine& line, const LockOptions& options) {
  const std::string word = *line.wrapped;
  const bool is_path = word.find('/') != std::string::npos && names_no_lock(options) && is_directory(word);
  if (!is_path) return std::nullopt;
  std::vector<std::string> words = line.arguments;
  words.insert(words.end(), {word, "--"});
  for (char* const* next = line.wrapped + 1; *next != nullptr; ++next) words.emplace_back(*next);
  if (words.back() == "--") words.emplace_back("CMD");
  return usage_failure("PATH goes before '--'", "try: " + own_line("run", std::move(words)));
}

std::optional<Failure> find_missing_separator(const CommandLine& line, const std::vector<std::string>* paths) {
  const std::size_t at = find_program_word(line.arguments, paths);
  return at < line.arguments.size() ? std::optional(missing_separator(line, at)) : std::nullopt;
}

std::optional<Failure> check_shell_command(const CommandLine& line, const std::vector<std::string>& paths) {
  std::vector<std::string> words = line.arguments;
  if (auto missing = find_missing_separator(line, &paths)) return missing;
  const auto option = std::find_if(words.begin(), words.end(),
                                   [](const std::string& word) { return word == "-c" || word == "--command"; });
  if (words.end() - option < 3) return std::nullopt;
  const auto string = option + 1;
  if (string[1].starts_with('-') || is_directory(string[1])) return std::nullopt;
  *string = fmt::format("{}", fmt::join(string, words.end(), " "));
  words.erase(string + 1, words.end());
  return usage_failure("-c takes one STRING", "try: " + own_line("run", std::move(words)));
}

}  // namespace grex::cli
