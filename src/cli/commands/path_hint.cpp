#include "cli/commands/path_hint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "base/nearest_word.hpp"
#include "base/text.hpp"
#include "cli/args/option_values.hpp"
#include "cli/args/unknown_word.hpp"
#include "cli/report/printable.hpp"
#include "core/lock/layout.hpp"
#include "sys/file/file.hpp"
#include "sys/file/obstacle.hpp"
#include "sys/process/interpreter.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

using Words = std::vector<std::string>;

// The whole command line, with these words after the command.
std::string typed_line(const CommandLine& line, Words words) {
  if (line.wrapped == nullptr) return own_line(line.verb, std::move(words));
  words.emplace_back("--");
  for (char* const* word = line.wrapped; *word != nullptr; ++word) words.emplace_back(*word);
  return own_line(line.verb, std::move(words));
}

// The place of a lock file. Without a directory, the name alone is no path.
std::optional<core::LockPlace> place_of(std::string_view named) {
  const std::string path(without_trailing_slashes(named));
  return core::lock_place_of(path.starts_with('/') ? path : "./" + path);
}

// What names the lock of a lock file on this command line, instead of the file's path.
Words words_for(const core::LockPlace& place, std::optional<core::Tier> tier, std::string_view verb) {
  std::string target = place.target;
  if (target.starts_with("./")) target.erase(0, 2);
  if (!tier || *tier == place.tier) return {target};
  const std::string name(core::name_of(place.tier));
  const bool has_one_path = verb == "probe" || verb == "release";
  return has_one_path ? Words{"-t", name, target} : Words{"-l", name + ":" + target};
}

std::string guard_hint(const std::string& directory) {
  const std::string word = word_in_home(directory);
  return word.empty() ? "DIR in --guard=DIR is the directory of a workspace"
                      : "the shell does not expand '~' there: write --guard=" + word;
}

// Whether a path is DIR of --guard=DIR.
bool is_guard(const CommandLine& line, const std::string& path) {
  return std::find(line.arguments.begin(), line.arguments.end(), "--guard=" + path) != line.arguments.end();
}

std::string directory_hint(std::optional<core::Tier> tier) {
  const bool is_workspace = tier == core::Tier::workspace_sync || tier == core::Tier::semaphore;
  if (is_workspace) return "PATH is the directory of a workspace";
  return tier == core::Tier::backend ? "PATH is the directory of a clone" : "PATH is the directory of a pack";
}

// The place of PATH on the command line; nullopt if it is in the value of an option.
std::optional<std::size_t> find_path(const CommandLine& line, const std::string& path) {
  const std::vector<std::size_t> places = line.positionals();
  const auto is_it = [&](std::size_t place) { return line.arguments[place] == path; };
  const auto place = std::find_if(places.begin(), places.end(), is_it);
  return place == places.end() ? std::nullopt : std::optional(*place);
}

// A file in the place of a directory, or a lock file that does not exist yet.
std::string file_hint(const Failure& failure, const CommandLine& line) {
  if (is_guard(line, failure.path)) return guard_hint(failure.path);
  const auto place = place_of(failure.path);
  const auto at = find_path(line, failure.path);
  if (!place || !at) return directory_hint(failure.tier);
  Words arguments = line.arguments;
  const bool has_tier = std::any_of(arguments.begin(), arguments.end(), [](std::string_view argument) {
    return argument.starts_with("-t") || take_until(argument, '=') == "--tier";
  });
  if (has_tier && failure.tier != place->tier) return directory_hint(failure.tier);
  const Words instead = words_for(*place, failure.tier, line.verb);
  const auto word = arguments.begin() + static_cast<std::ptrdiff_t>(*at);
  arguments.insert(arguments.erase(word), instead.begin(), instead.end());
  return "try: " + typed_line(line, std::move(arguments));
}

// `--watch 1`, whose value must be in the same word.
bool is_interval(const CommandLine& line, const std::string& path) {
  const auto at = find_path(line, path);
  return at && *at > 0 && line.arguments[*at - 1] == "--watch" && interval_syntax.parse(path);
}

// Whether a directory is neither this user's nor root's: it may have its name to mislead.
bool belongs_to_another(const std::string& path) {
  const auto status = sys::status_of(path);
  return !status || (status->owner != sys::effective_uid() && status->owner != 0);
}

// As find_similar_directory; `missing` is the first step of the path that is.
std::optional<std::string> find_similar(const std::string& path, const std::string& missing) {
  const auto slash = missing.rfind('/');
  const std::string above = slash == std::string::npos ? "" : missing.substr(0, slash + 1);
  const std::string name = missing.substr(above.size());
  const auto directory = sys::open_directory(above.empty() ? "." : above);
  if (name.size() < 2 || !directory) return std::nullopt;
  const auto names = sys::names_in(directory->fd.get());
  constexpr std::size_t most_names = 1000;  // comparing them must not take long
  if (!names || names->size() > most_names) return std::nullopt;
  std::vector<std::string_view> directories;
  for (const std::string& other : *names) {
    const bool is_hidden = other.starts_with('.') && !name.starts_with('.');
    if (is_hidden || !nearest_word(name, {other}) || belongs_to_another(above + other)) continue;
    if (sys::open_directory(above + other)) directories.push_back(other);
  }
  std::sort(directories.begin(), directories.end());
  const auto nearest = nearest_word(name, directories);
  if (!nearest) return std::nullopt;
  std::string similar = above + std::string(*nearest) + path.substr(missing.size());
  return sys::open_directory(similar) ? std::optional(std::move(similar)) : std::nullopt;
}

// A command of the user after `hold` or `wait`: the line with `run`, without options, which
// `run` may not have.
struct RunLine {
  std::string text;
  bool follows_mark;  // `--`, behind which there may be a PATH, too
};
std::optional<RunLine> line_for_run(const CommandLine& line, const std::string& path) {
  if (line.verb != "hold" && line.verb != "wait") return std::nullopt;
  const auto at = find_path(line, path);
  if (!at || sys::find_program(path).empty()) return std::nullopt;
  const auto command = line.arguments.begin() + static_cast<std::ptrdiff_t>(*at);
  const bool follows_mark = std::find(line.arguments.begin(), command, "--") != command;
  Words words;
  for (const std::size_t place : line.positionals()) {
    if (place < *at) words.push_back(line.arguments[place]);
  }
  if (words.empty() && !follows_mark) return std::nullopt;
  if (words.empty()) words.emplace_back("PATH");
  words.emplace_back("--");
  words.insert(words.end(), command, line.arguments.end());
  return RunLine{own_line("run", std::move(words)), follows_mark};
}

// `-w 1 min`: the option with its value in one word; empty if PATH is no unit of a duration.
std::string joined_duration(std::string_view option, const std::string& value, std::string_view path) {
  constexpr std::array<std::string_view, 4> options = {"-w", "--timeout", "--wait", "--for"};
  if (std::find(options.begin(), options.end(), option) == options.end()) return {};
  if (value.find_first_not_of("0123456789.") != std::string::npos) return {};
  if (path.size() > 2 && path.ends_with('s')) path.remove_suffix(1);
  std::string joined = value;
  if (path == "ms" || path == "msec") {
    joined += "ms";
  } else if (std::string_view("second").starts_with(path) || std::string_view("minute").starts_with(path) ||
             std::string_view("hour").starts_with(path) || path == "hr") {
    joined += path.front();
  }
  const bool is_duration = joined != value && duration_syntax.parse(joined);
  return is_duration ? fmt::format("{} {}", option, joined) : std::string();
}

// The option whose value is the word before PATH; empty if there is none.
std::string option_before(const CommandLine& line, const std::string& path) {
  const auto at = find_path(line, path);
  if (!at || *at < 2 || line.arguments[*at - 1].starts_with('-')) return {};
  const std::vector<std::size_t> places = line.positionals();
  const bool is_value = std::find(places.begin(), places.end(), *at - 1) == places.end();
  return is_value ? line.arguments[*at - 2] : std::string();
}

// Whether its value may consist of several words.
bool takes_text(std::string_view option) {
  constexpr std::array<std::string_view, 7> options = {"--note", "--name", "--command",     "-c",
                                                       "--log",  "--lock", "--cluster-root"};
  return std::find(options.begin(), options.end(), option) != options.end();
}

std::string missing_hint(const Failure& failure, const CommandLine& line, const std::string& missing,
                         const std::optional<RunLine>& run_line) {
  if (place_of(failure.path)) return file_hint(failure, line);
  if (is_interval(line, failure.path)) return fmt::format("did you mean --watch={}?", failure.path);
  if (const auto similar = find_similar(failure.path, missing)) {
    return fmt::format("did you mean {}?", shell_line({*similar}));
  }
  if (run_line) return fmt::format("{} runs no command; try: {}", line.verb, run_line->text);
  if (missing.rfind('/') == 0) return fmt::format("is a variable unset in front of {}?", shell_line({failure.path}));
  if (is_guard(line, failure.path)) return guard_hint(failure.path);
  const std::string option = option_before(line, failure.path);
  if (!option.empty()) {
    const std::string& value = line.arguments[*find_path(line, failure.path) - 1];
    const std::string joined = joined_duration(option, value, failure.path);
    if (!joined.empty()) return fmt::format("did you mean {}?", joined);
  }
  if (line.verb != "run" && line.verb != "hold") return {};
  return "check the spelling, or use --create to create it" +
         (!takes_text(option) ? std::string()
                              : fmt::format("; if it belongs to the value of {}, quote both words", option));
}

}  // namespace

Failure with_path_hint(Failure failure, const CommandLine& line) {
  if (failure.kind != ErrorKind::not_found || failure.path.empty()) return failure;
  if (const auto hint = typographic_hint(failure.path); !hint.empty()) failure.hint = hint;
  if (!failure.hint.empty()) return failure;
  const auto run_line = line_for_run(line, failure.path);
  if (run_line && run_line->follows_mark) {
    return usage_failure(line.verb + " runs no command", "try: " + run_line->text);
  }
  const sys::Obstacle obstacle = sys::find_obstacle(failure.path);
  if (obstacle.kind == sys::Obstacle::Kind::missing) failure.hint = missing_hint(failure, line, obstacle.at, run_line);
  if (obstacle.kind == sys::Obstacle::Kind::not_directory) failure.hint = file_hint(failure, line);
  return failure;
}

std::optional<std::string> find_similar_directory(const std::string& path) {
  const sys::Obstacle obstacle = sys::find_obstacle(path);
  return obstacle.kind == sys::Obstacle::Kind::missing ? find_similar(path, obstacle.at) : std::nullopt;
}

}  // namespace grex::cli
