#include "cli/args/options.hpp"

#include <fmt/format.h>

#include "cli/args/parser.hpp"

namespace grex::cli {
namespace {

// Adds an option whose value has a syntax; `target` is a Value or an optional one.
template <class Value, class Target>
CLI::Option* add_parsed(Parser& parser, const std::string& names, Target& target, const ValueSyntax<Value>& syntax,
                        const std::string& description) {
  const std::string label = names.substr(names.rfind(',') + 1);
  return parser
      .add_option_function<std::string>(
          names,
          [&target, syntax, label](const std::string& text) {
            const std::optional<Value> value = syntax.parse(text);
            if (!value) throw CLI::ValidationError(label, syntax_error(text, syntax.description));
            target = *value;
          },
          description)
      ->take_last();  // so that a later one overrides that of a shell alias
}

std::string refuse_empty_path(const std::string& path) { return path.empty() ? "it is empty" : ""; }

}  // namespace

void add_global_options(Parser& parser, GlobalOptions& options) {
  parser.set_help_flag("-h,--help", "show this help and exit")->group("General");
  parser.set_version_flag("--version", "grex-lock " GREX_LOCK_VERSION, "show the version and exit")->group("General");
  // No value such as =false: split_command_line, which runs first, ignores it.
  parser.add_flag("--json", options.json, "say it as JSON")->disable_flag_override()->group("General");
  add_parsed(parser, "--color", options.color, color_syntax, "auto, always or never")
      ->type_name("WHEN")
      ->group("General");
  add_parsed(parser, "--layout", options.layouts, layout_syntax, "lock files of grex: both (default), flat, nested")
      ->type_name("LAYOUT")
      ->group("General");
}

void add_path(Parser& parser, std::string& path) { parser.add_option("PATH", path)->check(refuse_empty_path); }

void add_paths(Parser& parser, std::vector<std::string>& paths) {
  parser.add_words("PATH", paths)->check(refuse_empty_path);
}

void add_locks(Parser& parser, LockOptions& options) {
  add_paths(parser, options.paths);
  parser
      .add_option_function<std::vector<std::string>>(
          "-l,--lock",
          [&options](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              auto lock = lock_syntax.parse(text);
              if (!lock) throw CLI::ValidationError("--lock", syntax_error(text, lock_syntax.description));
              options.locks.push_back(std::move(*lock));
            }
          },
          "one more lock; may be repeated")
      ->allow_extra_args(false)
      ->type_name("TIER:PATH")
      ->group("Lock");
}

void add_tier_option(Parser& parser, core::Tier& tier) {
  add_parsed(parser, "-t,--tier", tier, tier_syntax, "tier of the PATHs (default: per-pack)")
      ->type_name("TIER")
      ->group("Lock");
}

void add_choice_options(Parser& parser, LockOptions& options) {
  add_tier_option(parser, options.tier);
  auto* const shared = parser.add_flag_callback(
      "-s,--shared", [&options] { options.mode = sys::Mode::shared; }, "share the lock with other sharers");
  auto* const exclusive = parser.add_flag_callback(
      "-x,--exclusive", [&options] { options.mode = sys::Mode::exclusive; }, "keep everyone else out (default)");
  exclusive->group("Lock");
  shared->group("Lock");
  Parser::exclude(exclusive, shared);
  parser
      .add_flag_callback(
          "--reentrant", [&options] { options.reentrant = core::Reentrant::yes; },
          "go on where an ancestor holds this very lock")
      ->group("Lock");
  add_parsed(parser, "--tier-check", options.tier_check, tier_check_syntax,
             "on a reversed order: enforce (default), warn, off")
      ->type_name("WHAT")
      ->group("Lock");
  add_parsed(parser, "-E,--conflict-exit-code", options.conflict_exit_code, exit_code_syntax,
             "exit status where busy (default: 75)")
      ->type_name("N")
      ->group("Lock");
  auto* const quiet = parser.add_flag_callback(
      "-q,--quiet", [&options] { options.verbosity = Verbosity::quiet; }, "no word about busy locks, waits, warnings");
  auto* const verbose = parser.add_flag_callback(
      "-v,--verbose", [&options] { options.verbosity = Verbosity::verbose; }, "say what is going on, on stderr");
  verbose->group("General");
  quiet->group("General");
  Parser::exclude(verbose, quiet);
}

void add_slots_option(Parser& parser, LockOptions& options) {
  add_parsed(parser, "--slots", options.slots, slots_syntax, "permits at tier semaphore; 0 is unbounded")
      ->type_name("N")
      ->group("Lock");
}

void add_guard_option(Parser& parser, LockOptions& options) {
  // A flag, so that its value must be in the same word.
  parser.add_flag(fmt::format("--guard{{{}}}", guard_above), options.guards, "also keep 'grex sync' out of each pack")
      ->type_name("[=DIR]")
      ->group("Lock");
}

void add_create_option(Parser& parser, LockOptions& options) {
  parser
      .add_flag_callback(
          "--create", [&options] { options.create = core::CreateTarget::yes; }, "make missing directories")
      ->group("Lock");
}

void add_waiting_options(Parser& parser, LockOptions& options) {
  auto* const nonblock =
      parser.add_flag("-n,--nonblock", options.nonblock, "fail at once where busy")->group("Waiting");
  auto* const timeout =
      add_duration(parser, "-w,--timeout", options.timeout, "give up after: 5, 0.25, 250ms, 2m, 1h")->group("Waiting");
  Parser::exclude(timeout, nonblock);
  add_number(parser, "--json-status-fd", options.status_fd, "FD", "write events to FD, as JSON")->group("General");
}

void add_record_options(Parser& parser, LockOptions& options) {
  parser.add_option("--note", options.note, "text that status shows")->take_last()->type_name("TEXT")->group("Record");
  parser
      .add_flag_callback(
          "--no-record", [&options] { options.record = false; }, "don't write into the lock file who holds it")
      ->group("Record");
  add_parsed(parser, "--git-exclude", options.git_exclude, git_exclude_syntax,
             "hide lock files from git: auto (default), off")
      ->type_name("WHEN")
      ->group("Record");
}

void add_lock_options(Parser& parser, LockOptions& options) {
  add_locks(parser, options);
  add_choice_options(parser, options);
  add_slots_option(parser, options);
  add_guard_option(parser, options);
  add_create_option(parser, options);
  add_waiting_options(parser, options);
  add_record_options(parser, options);
}

CLI::Option* add_duration(Parser& parser, const std::string& names, std::optional<std::chrono::nanoseconds>& duration,
                          const std::string& description) {
  return add_parsed(parser, names, duration, duration_syntax, description)->type_name("DURATION");
}

CLI::Option* add_number(Parser& parser, const std::string& names, std::optional<int>& number, const std::string& type,
                        const std::string& description) {
  return add_parsed(parser, names, number, natural_syntax, description)->type_name(type);
}

}  // namespace grex::cli
