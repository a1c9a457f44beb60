#include "cli/options.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "base/text.hpp"
#include "cli/output.hpp"
#include "core/time_text.hpp"
#include "sys/file.hpp"
#include "sys/proc.hpp"

namespace grex::cli {
namespace {

constexpr std::string_view tier_names = "workspace-sync, semaphore, per-pack, backend or manifest";
constexpr std::string_view layout_names = "flat, nested or both";
constexpr std::string_view tier_check_names = "enforce, warn or off";
constexpr std::string_view color_names = "auto, always or never";
constexpr std::string_view duration_form = "a duration such as 5, 0.25, 250ms, 2m or 1h";
constexpr std::string_view slots_form = "a number of permits from 0 to 4096";
constexpr std::string_view lock_form =
    "TIER:PATH, where TIER is workspace-sync, semaphore, per-pack, backend or manifest";
// A permit is a file, tried one by one.
constexpr unsigned most_slots = 4096;

std::optional<TierCheck> tier_check_named(std::string_view name) {
  if (name == "enforce") return TierCheck::enforce;
  if (name == "warn") return TierCheck::warn;
  if (name == "off") return TierCheck::off;
  return std::nullopt;
}

std::optional<Color> color_named(std::string_view name) {
  if (name == "auto") return Color::when_terminal;
  if (name == "always") return Color::always;
  if (name == "never") return Color::never;
  return std::nullopt;
}

// CLI11 makes up a usage line of its own; ours is written by hand.
class HelpFormatter : public CLI::Formatter {
 public:
  explicit HelpFormatter(std::string usage) : usage_(std::move(usage)) {
    constexpr std::size_t description_column = 30;
    column_width(description_column);
  }
  std::string make_option_name(const CLI::Option* option, bool) const override {
    std::string names = option->get_name(false, true);
    const auto comma = names.find(',');
    return comma == std::string::npos ? names : names.replace(comma, 1, ", ");
  }
  std::string make_usage(const CLI::App*, std::string) const override { return usage_ + "\n\n"; }
  // Of what excludes what, the error message tells.
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 ? std::string() : " " + option->get_type_name();
  }
  // CLI11 puts two blank lines between groups; one is enough, and makes it fit a screen.
  [[nodiscard]] std::string make_group(std::string group, bool is_positional,
                                       std::vector<const CLI::Option*> options) const override {
    return CLI::Formatter::make_group(std::move(group), is_positional, std::move(options)).substr(1);
  }
  // The usage line has shown the positionals; they need no section.
  std::string make_positionals(const CLI::App*) const override { return {}; }

 private:
  std::string usage_;
};

std::optional<int> parse_exit_code(std::string_view text) {
  const auto code = parse_number<std::uint8_t>(text);
  return code ? std::optional<int>(*code) : std::nullopt;
}

std::optional<int> parse_natural(std::string_view text) {
  const auto number = parse_number<int>(text);
  return number && *number >= 0 ? number : std::nullopt;
}

std::optional<unsigned> parse_slots(std::string_view text) {
  const auto count = parse_number<unsigned>(text);
  return count && *count <= most_slots ? count : std::nullopt;
}

// TIER:PATH; the path may have colons too.
std::optional<NamedLock> parse_named_lock(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon + 1 == text.size()) return std::nullopt;
  const auto tier = core::tier_named(text.substr(0, colon));
  if (!tier) return std::nullopt;
  return NamedLock{*tier, std::string(text.substr(colon + 1))};
}

std::string not_one_of(std::string_view text, std::string_view choices) {
  return fmt::format("'{}' is not {}", text, choices);
}

// An option whose text one of the parsers above turns into a value.
template <class Value, class Target, class Parse>
CLI::Option* add_parsed(CLI::App& app, const std::string& names, Target& target, Parse parse, std::string_view choices,
                        const std::string& description) {
  const std::string label = names.substr(names.rfind(',') + 1);
  return app
      .add_option_function<std::string>(
          names,
          [&target, parse, choices, label](const std::string& text) {
            const std::optional<Value> value = parse(text);
            if (!value) throw CLI::ValidationError(label, not_one_of(text, choices));
            target = *value;
          },
          description)
      ->take_last();  // so that an alias's choice can be changed
}

// The environment's text for an option that the command line left open.
template <class Value, class Parse>
std::optional<Failure> read_environment(const char* name, std::optional<Value>& target, Parse parse,
                                        std::string_view choices) {
  const char* const text = target ? nullptr : ::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  target = parse(text);
  if (target) return std::nullopt;
  return usage_failure(fmt::format("{}: {}", name, not_one_of(text, choices)), {});
}

std::optional<Failure> check_status_fd(std::optional<int> fd) {
  const sys::Access access = fd ? sys::access_of(*fd) : sys::Access::writing;
  if (access == sys::Access::writing) return std::nullopt;
  return usage_failure(fmt::format("--json-status-fd: descriptor {} is {}", *fd,
                                   access == sys::Access::closed ? "not open" : "not open for writing"),
                       fmt::format("open it in the shell, as by 'exec {}>FILE'", *fd));
}

std::string refuse_empty_path(const std::string& path) { return path.empty() ? "it is empty" : ""; }

// What is left over: an option that there is not, whose value would have been
// left over with it, or one word too many.
std::string unexpected_words(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word.starts_with('-')) return "unknown option " + word;
  }
  return fmt::format("'{}' is one word too many", words.front());
}

// Whether the value of an option that this word names, or ends with, is the next.
bool takes_next_word(const CLI::App& app, const std::string& word) {
  if (word.size() < 2 || word.front() != '-') return false;
  const CLI::Option* const option =
      app.get_option_no_throw(word.starts_with("--") ? word : std::string("-") + word.back());
  return option != nullptr && option->get_items_expected_max() > 0;
}

// CLI11 takes a PATH in brackets for a list of several.
std::vector<std::string> with_plain_brackets(const CLI::App& app, std::vector<std::string> words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool is_value = i > 0 && takes_next_word(app, words[i - 1]);
    if (words[i].starts_with('[') && !is_value) words[i].insert(0, "./");
  }
  return words;
}

}  // namespace

void add_global_options(CLI::App& app, GlobalOptions& options) {
  app.set_help_flag("-h,--help", "show this help and exit")->group("General");
  app.set_version_flag("--version", "grex-lock " GREX_LOCK_VERSION, "show the version and exit")->group("General");
  app.add_flag("--json", options.json, "say it as JSON")->group("General");
  add_parsed<Color>(app, "--color", options.color, color_named, color_names, "auto, always or never")
      ->type_name("WHEN")
      ->group("General");
  add_parsed<core::Layouts>(app, "--layout", options.layouts, core::layouts_named, layout_names,
                            "lock files of grex: flat (default), nested, both")
      ->type_name("LAYOUT")
      ->group("General");
}

void set_help(CLI::App& app, const std::string& usage, const std::string& examples) {
  app.formatter(std::make_shared<HelpFormatter>("Usage: " + usage));
  app.footer(examples);
}

void add_path(CLI::App& app, std::string& path) { app.add_option("PATH", path)->check(refuse_empty_path); }

void add_paths(CLI::App& app, std::vector<std::string>& paths) {
  app.add_option("PATH", paths)->check(refuse_empty_path);
}

void add_locks(CLI::App& app, LockOptions& options) {
  add_paths(app, options.paths);
  app.add_option_function<std::vector<std::string>>(
         "-l,--lock",
         [&options](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) {
             auto lock = parse_named_lock(text);
             if (!lock) throw CLI::ValidationError("--lock", not_one_of(text, lock_form));
             options.locks.push_back(std::move(*lock));
           }
         },
         "one more lock; may be repeated")
      ->allow_extra_args(false)
      ->type_name("TIER:PATH")
      ->group("Lock");
}

void add_tier_option(CLI::App& app, core::Tier& tier) {
  add_parsed<core::Tier>(app, "-t,--tier", tier, core::tier_named, tier_names, "tier of the PATHs (default: per-pack)")
      ->type_name("TIER")
      ->group("Lock");
}

void add_choice_options(CLI::App& app, LockOptions& options) {
  add_tier_option(app, options.tier);
  auto* const shared = app.add_flag_callback(
      "-s,--shared", [&options] { options.mode = sys::Mode::shared; }, "share the lock with other sharers");
  app.add_flag_callback(
         "-x,--exclusive", [&options] { options.mode = sys::Mode::exclusive; }, "keep everyone else out (default)")
      ->excludes(shared)
      ->group("Lock");
  shared->group("Lock");
  app.add_flag_callback(
         "--reentrant", [&options] { options.reentrant = core::Reentrant::yes; },
         "go on where an ancestor holds this very lock")
      ->group("Lock");
  add_parsed<TierCheck>(app, "--tier-check", options.tier_check, tier_check_named, tier_check_names,
                        "on a reversed order: enforce (default), warn, off")
      ->type_name("WHAT")
      ->group("Lock");
  add_parsed<int>(app, "-E,--conflict-exit-code", options.conflict_exit_code, parse_exit_code, "a number from 0 to 255",
                  "exit status where busy (default: 75)")
      ->type_name("N")
      ->group("Lock");
  auto* const quiet = app.add_flag_callback(
      "-q,--quiet", [&options] { options.verbosity = Verbosity::quiet; }, "no word about busy locks, no warnings");
  app.add_flag_callback(
         "-v,--verbose", [&options] { options.verbosity = Verbosity::verbose; }, "say what is going on, on stderr")
      ->excludes(quiet)
      ->group("General");
  quiet->group("General");
}

void add_slots_option(CLI::App& app, LockOptions& options) {
  add_parsed<unsigned>(app, "--slots", options.slots, parse_slots, slots_form,
                       "permits at tier semaphore; 0 is unbounded")
      ->type_name("N")
      ->group("Lock");
}

void add_create_option(CLI::App& app, LockOptions& options) {
  app.add_flag_callback(
         "--create", [&options] { options.create = core::CreateTarget::yes; }, "make missing directories")
      ->group("Lock");
}

void add_waiting_options(CLI::App& app, LockOptions& options) {
  auto* const nonblock = app.add_flag("-n,--nonblock", options.nonblock, "fail at once where busy")->group("Waiting");
  add_duration(app, "-w,--timeout", options.timeout, "give up after: 5, 0.25, 250ms, 2m, 1h")
      ->excludes(nonblock)
      ->group("Waiting");
  add_number(app, "--json-status-fd", options.status_fd, "FD", "write events to FD, as JSON")->group("General");
}

void add_record_options(CLI::App& app, LockOptions& options) {
  app.add_option("--note", options.note, "text that status shows")->take_last()->type_name("TEXT")->group("Record");
  app.add_flag_callback(
         "--no-record", [&options] { options.record = false; }, "don't write into the lock file who holds it")
      ->group("Record");
}

CLI::Option* add_duration(CLI::App& app, const std::string& names, std::optional<std::chrono::nanoseconds>& duration,
                          const std::string& description) {
  return add_parsed<std::chrono::nanoseconds>(app, names, duration, core::parse_duration, duration_form, description)
      ->type_name("DURATION");
}

CLI::Option* add_number(CLI::App& app, const std::string& names, std::optional<int>& number, const std::string& type,
                        const std::string& description) {
  return add_parsed<int>(app, names, number, parse_natural, "a number from 0 up", description)->type_name(type);
}

std::optional<Outcome> parse(CLI::App& app, const Invocation& invocation) {
  const std::string help_command = "grex-lock " + (invocation.verb.empty() ? "" : invocation.verb + " ") + "--help";
  try {
    std::vector<std::string> words = with_plain_brackets(app, invocation.arguments);
    std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
    app.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    return print(app.help());
  } catch (const CLI::CallForVersion& version) {
    return print(std::string(version.what()) + "\n");
  } catch (const CLI::ExtrasError&) {
    return failed(usage_failure(unexpected_words(app.remaining()), "see '" + help_command + "'"));
  } catch (const CLI::ParseError& error) {
    return failed(usage_failure(error.what(), "see '" + help_command + "'"));
  }
  return std::nullopt;
}

std::optional<Failure> complete(GlobalOptions& options) {
  auto failure = read_environment("GREX_LOCK_LAYOUT", options.layouts, core::layouts_named, layout_names);
  if (!options.layouts) options.layouts = core::Layouts{core::Layout::flat};
  return failure;
}

std::optional<Failure> complete(GlobalOptions& global, LockOptions& lock) {
  if (auto failure = complete(global)) return failure;
  if (auto failure = check_status_fd(lock.status_fd)) return failure;
  auto failure = read_environment("GREX_LOCK_TIER_CHECK", lock.tier_check, tier_check_named, tier_check_names);
  if (!lock.tier_check) lock.tier_check = TierCheck::enforce;
  if (failure || lock.nonblock) return failure;
  failure = read_environment("GREX_LOCK_TIMEOUT", lock.timeout, core::parse_duration, duration_form);
  if (lock.timeout == std::chrono::nanoseconds::zero()) lock.nonblock = true;
  return failure;
}

std::optional<Failure> apply_default(std::optional<unsigned>& slots) {
  auto failure = read_environment("GREX_PARALLEL", slots, parse_slots, slots_form);
  if (!slots) slots = sys::cpu_count();
  return failure;
}

}  // namespace grex::cli
