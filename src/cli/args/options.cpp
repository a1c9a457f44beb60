#include "cli/args/options.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/args/parser.hpp"

namespace grex::cli {
namespace {

UsageError usage_error(std::string_view option, const SyntaxError& error) {
  return UsageError(fmt::format("{}: {}", option, error.why), error.hint);
}

// The first long name of an option.
std::string long_name(std::string_view names) {
  names.remove_prefix(names.find("--"));
  return std::string(take_until(names, ','));
}

// Adds an option whose value has a syntax; `target` is a Value or an optional one.
template <class Value, class Target>
CLI::Option* add_parsed(Parser& parser, const std::string& names, Target& target, const ValueSyntax<Value>& syntax,
                        const std::string& type, const std::string& description) {
  CLI::Option* const option = parser.add_option_function<std::string>(
      names,
      [&target, syntax, names](const std::string& text) {
        const std::optional<Value> value = syntax.parse(text);
        if (!value) throw usage_error(long_name(names), syntax_error(text, syntax.text));
        target = *value;
      },
      description);
  parser.explain_value(option, syntax.text);
  return option->type_name(type)->take_last();  // so that a later one overrides that of a shell alias
}

std::string refuse_empty_path(const std::string& path) {
  if (path.empty()) throw UsageError("PATH is empty", "is a variable unset? '.' is the current directory");
  return {};
}

std::string refuse_empty_file(const std::string& path) {
  if (path.empty()) throw UsageError("--log: FILE is empty", unset_hint);
  return {};
}

}  // namespace

void add_path(Parser& parser, std::string& path) { parser.add_option("PATH", path)->check(refuse_empty_path); }

void add_paths(Parser& parser, std::vector<std::string>& paths) {
  parser.add_words("PATH", paths)->check(refuse_empty_path);
}

void add_tier_option(Parser& parser, std::optional<core::Tier>& tier, const std::string& description) {
  add_parsed(parser, "-t,--tier", tier, tier_syntax, "TIER", description);
}

void add_locks(Parser& parser, LockOptions& options) {
  add_paths(parser, options.paths);
  parser
      .add_option_function<std::vector<std::string>>(
          "-l,--lock",
          [&options](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              auto lock = parse_named_lock(text);
              if (!lock) throw usage_error("--lock", named_lock_error(text));
              options.locks.push_back(std::move(*lock));
            }
          },
          "lock PATH at TIER as well; repeatable")
      ->allow_extra_args(false)
      ->type_name("TIER:PATH");
}

void add_guard_option(Parser& parser, LockOptions& options, const std::string& description) {
  // A flag, so that its value must be in the same word.
  parser.add_flag(fmt::format("--guard{{{}}}", guard_above), options.guards, description)->type_name("DIR");
}

void add_slots_option(Parser& parser, std::optional<unsigned>& slots) {
  add_parsed(parser, "--slots", slots, slots_syntax, "N", "slots at tier semaphore; 0 means no limit");
}

void add_mode_options(Parser& parser, LockOptions& options) {
  parser.add_flag_callback(
      "-s,--shared", [&options] { options.mode = sys::Mode::shared; }, "allow other shared locks");
  auto* const exclusive = parser.add_flag_callback(
      "-x,-e,--exclusive", [&options] { options.mode = sys::Mode::exclusive; }, "allow no other lock (default)");
  parser.exclude(exclusive, "--shared");
}

void add_layout_option(Parser& parser, GlobalOptions& options) {
  add_parsed(parser, "--layout", options.layouts, layout_syntax, "LAYOUT",
             "lock files to use: both (default), flat, nested");
}

void add_waiting_options(Parser& parser, LockOptions& options) {
  parser.add_flag("-n,--nonblock,--nb,--nonblocking", options.nonblock, "fail immediately if busy");
  parser.exclude(add_timeout_option(parser, options.timeout, "give up after 5, 0.25, 250ms, 2m or 1h"), "--nonblock");
}

CLI::Option* add_timeout_option(Parser& parser, std::optional<std::chrono::nanoseconds>& timeout,
                                const std::string& description) {
  return add_duration(parser, "-w,--timeout,--wait", timeout, description);
}

void add_busy_options(Parser& parser, LockOptions& options) {
  add_parsed(parser, "-E,--conflict-exit-code", options.conflict_exit_code, exit_code_syntax, "N",
             "exit status if busy (default: 75)");
  parser.add_flag_callback(
      "--reentrant", [&options] { options.reentrant = core::Reentrant::yes; },
      "continue if an ancestor holds the same lock");
  add_parsed(parser, "--tier-check", options.tier_check, tier_check_syntax, "ACTION",
             "on a wrong order: enforce (default), warn, off");
}

void add_lock_options(Parser& parser, LockOptions& options, GlobalOptions& global) {
  parser.begin_group(group::what_to_lock);
  add_tier_option(parser, options.tier);
  add_locks(parser, options);
  add_guard_option(parser, options);
  add_slots_option(parser, options.slots);
  add_mode_options(parser, options);
  add_layout_option(parser, global);
  parser.add_flag_callback(
      "--create", [&options] { options.create = core::CreateTarget::yes; }, "create missing directories");
  parser.begin_group(group::if_busy);
  add_waiting_options(parser, options);
  add_busy_options(parser, options);
}

void add_record_options(Parser& parser, LockOptions& options) {
  parser.add_option("--note", options.note, "text shown by status and to waiting users")
      ->take_last()
      ->type_name("TEXT");
  auto* const no_record = parser.add_flag_callback(
      "--no-record", [&options] { options.record = false; }, "don't write a holder record to the lock file");
  parser.exclude(no_record, "--note");
  add_parsed(parser, "--git-exclude", options.git_exclude, git_exclude_syntax, "WHEN",
             "hide lock files from git: auto (default), off");
}

void add_event_options(Parser& parser, LockOptions& options) {
  parser.add_option("--log", options.log, "append events to FILE, as JSON")
      ->check(refuse_empty_file)
      ->take_last()
      ->type_name("FILE");
  add_parsed(parser, "--json-status-fd", options.status_fd, descriptor_syntax, "FD",
             "write events to descriptor FD, as JSON");
}

void add_output_options(Parser& parser, GlobalOptions& options, const std::string& json_description) {
  parser.add_flag("--json", options.json, json_description);
  add_parsed(parser, "--color", options.color, color_syntax, "WHEN", "use colours: auto (default), always, never");
}

void add_verbosity_options(Parser& parser, Verbosity& verbosity, const std::string& quietly) {
  parser.add_flag_callback(
      "-q,--quiet", [&verbosity] { verbosity = Verbosity::quiet; }, quietly);
  auto* const verbose = parser.add_flag_callback(
      "-v,--verbose", [&verbosity] { verbosity = Verbosity::verbose; }, "report each step on stderr");
  parser.exclude(verbose, "--quiet");
}

void add_help_options(Parser& parser) {
  parser.set_help_flag("-h,--help", "show this help and exit");
  parser.set_version_flag("-V,--version", "grex-lock " GREX_LOCK_VERSION, "show the version and exit");
}

void add_report_options(Parser& parser, LockOptions& options, GlobalOptions& global,
                        const std::string& json_description) {
  parser.begin_group(group::records_and_reports);
  add_record_options(parser, options);
  add_event_options(parser, options);
  add_output_options(parser, global, json_description);
  add_verbosity_options(parser, options.verbosity);
  add_help_options(parser);
}

CLI::Option* add_if_lost_option(Parser& parser, std::optional<IfLost>& if_lost) {
  return add_parsed(parser, "--if-lost", if_lost, if_lost_syntax, "ACTION",
                    "on a lost lock file: restore (default), warn, stop");
}

CLI::Option* add_export_option(Parser& parser, std::string& value) {
  // A flag, so that its value must be in the same word.
  return parser.add_flag("--export{shell}", value, "print the stack, for eval or an environment file")
      ->type_name("env");
}

Result<std::optional<ExportForm>, Failure> export_form(const std::string& value) {
  if (value.empty()) return std::optional<ExportForm>();
  const auto form = export_syntax.parse(value);
  if (form) return form;
  SyntaxError error = syntax_error(value, export_syntax.text);
  return usage_failure("--export: " + error.why, std::move(error.hint));
}

CLI::Option* add_duration(Parser& parser, const std::string& names, std::optional<std::chrono::nanoseconds>& duration,
                          const std::string& description) {
  return add_parsed(parser, names, duration, duration_syntax, "DURATION", description);
}

CLI::Option* add_pid(Parser& parser, const std::string& names, std::optional<int>& pid,
                     const std::string& description) {
  return add_parsed(parser, names, pid, pid_syntax, "PID", description);
}

void add_token(Parser& parser, std::optional<std::uint64_t>& token) {
  add_parsed(parser, "--token", token, token_syntax, "N", "with --force: only if the holder has this token");
}

}  // namespace grex::cli
