// How a command line is split, and the options in it. No command is run.

#include <algorithm>

#include "cli/args/command_line.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "fuzz.hpp"

using namespace grex;
using cli::CommandLine;
using fuzz::require;

namespace {

// The parts are all of the words, in their order, and nothing else.
void check_split(const CommandLine& line, const std::vector<char*>& argv) {
  auto argument = line.arguments.begin();
  bool is_verb_seen = line.verb.empty();
  auto word = argv.begin() + 1;
  for (; *word != nullptr; ++word) {
    if (line.wrapped != nullptr && *word == std::string_view("--")) break;
    if (argument != line.arguments.end() && *argument == *word) {
      ++argument;
      continue;
    }
    require(!is_verb_seen && line.verb == *word);
    is_verb_seen = true;
  }
  require(argument == line.arguments.end() && is_verb_seen);
  require(!line.verb.starts_with('-'));
  if (line.wrapped != nullptr) require(line.verb == "run" && line.wrapped == &*word + 1);
}

bool ends_one_of(const std::vector<std::string>& words, const std::string& text) {
  return std::any_of(words.begin(), words.end(), [&text](const std::string& word) { return word.ends_with(text); });
}

// Every value is a word, or the end of one, as it was given.
void check_texts(const cli::LockOptions& options, const std::vector<std::string>& words) {
  for (const std::string& path : options.paths) {
    require(!path.empty() && ends_one_of(words, path));
  }
  for (const cli::NamedLock& lock : options.locks) {
    require(!lock.path.empty());
    require(ends_one_of(words, std::string(core::name_of(lock.tier)) + ":" + lock.path));
  }
  require(ends_one_of(words, options.note) || options.note.empty());
}

void check_limits(const cli::LockOptions& options) {
  require(options.slots.value_or(0) <= 4096);
  require(options.conflict_exit_code.value_or(0) >= 0 && options.conflict_exit_code.value_or(0) <= 255);
  require(options.status_fd.value_or(0) >= 0);
  require(options.timeout.value_or(std::chrono::nanoseconds(0)) >= std::chrono::nanoseconds(0));
  require(!options.nonblock || !options.timeout);
}

struct Options {
  cli::GlobalOptions global;
  cli::LockOptions lock;
  bool operator==(const Options&) const = default;
};

void define(cli::Parser& parser, Options& options) {
  cli::add_lock_options(parser, options.lock, options.global);
  cli::add_report_options(parser, options.lock, options.global);
  parser.set_help("Takes locks.", "grex-lock run", "");
}

// The options that a parser reads from the words; nullopt if it refuses them.
std::optional<Options> parsed(const CommandLine& line, cli::Parser::OptionSet option_set) {
  Options options;
  cli::Parser parser(line, option_set);
  define(parser, options);
  try {
    parser.read();
  } catch (const CLI::ParseError&) {
    return std::nullopt;
  }
  return options;
}

void check_options(const CommandLine& line) {
  Options options;
  const auto with_all = parsed(line, cli::Parser::OptionSet::all_options);
  require(parsed(line, cli::Parser::OptionSet::named_options) == with_all);
  const auto parsed_options = cli::parse(line, options, define);
  if (!cli::has_options(parsed_options)) {
    require(!with_all);
    require(parsed_options || (parsed_options.error().kind == ErrorKind::usage && !parsed_options.error().why.empty()));
    require(parsed_options || parsed_options.error().exit_code != 0);
    return;
  }
  require(with_all == options);
  require(!options.global.json || line.json);
  check_texts(options.lock, line.arguments);
  check_limits(options.lock);
  if (line.has_only_paths()) require(options == Options{{}, {.paths = line.arguments}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> words = fuzz::split(fuzz::text_of(data, size), '\0');
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  if (argv.empty()) return 0;
  argv.push_back(nullptr);
  const CommandLine line = cli::split_command_line(static_cast<int>(words.size()), argv.data());
  check_split(line, argv);
  check_options(line);
  return 0;
}
