#include "cli/options.hpp"

#include <CLI/App.hpp>

namespace grex::cli {
namespace {

// An option whose value has a form; `target` is a Value or may hold one.
template <class Value, class Target>
CLI::Option* add_parsed(CLI::App& app, const std::string& names, Target& target, const Form<Value>& form,
                        const std::string& description) {
  const std::string label = names.substr(names.rfind(',') + 1);
  return app
      .add_option_function<std::string>(
          names,
          [&target, form, label](const std::string& text) {
            const std::optional<Value> value = form.parse(text);
            if (!value) throw CLI::ValidationError(label, not_of_form(text, form.description));
            target = *value;
          },
          description)
      ->take_last();  // so that an alias's choice can be changed
}

std::string refuse_empty_path(const std::string& path) { return path.empty() ? "it is empty" : ""; }

}  // namespace

void add_global_options(CLI::App& app, GlobalOptions& options) {
  app.set_help_flag("-h,--help", "show this help and exit")->group("General");
  app.set_version_flag("--version", "grex-lock " GREX_LOCK_VERSION, "show the version and exit")->group("General");
  // With no value that says no: parse_invocation, which comes first, looks at none.
  app.add_flag("--json", options.json, "say it as JSON")->disable_flag_override()->group("General");
  add_parsed(app, "--color", options.color, color_form, "auto, always or never")->type_name("WHEN")->group("General");
  add_parsed(app, "--layout", options.layouts, layout_form, "lock files of grex: flat (default), nested, both")
      ->type_name("LAYOUT")
      ->group("General");
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
             auto lock = lock_form.parse(text);
             if (!lock) throw CLI::ValidationError("--lock", not_of_form(text, lock_form.description));
             options.locks.push_back(std::move(*lock));
           }
         },
         "one more lock; may be repeated")
      ->allow_extra_args(false)
      ->type_name("TIER:PATH")
      ->group("Lock");
}

void add_tier_option(CLI::App& app, core::Tier& tier) {
  add_parsed(app, "-t,--tier", tier, tier_form, "tier of the PATHs (default: per-pack)")
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
  add_parsed(app, "--tier-check", options.tier_check, tier_check_form,
             "on a reversed order: enforce (default), warn, off")
      ->type_name("WHAT")
      ->group("Lock");
  add_parsed(app, "-E,--conflict-exit-code", options.conflict_exit_code, exit_code_form,
             "exit status where busy (default: 75)")
      ->type_name("N")
      ->group("Lock");
  auto* const quiet = app.add_flag_callback(
      "-q,--quiet", [&options] { options.verbosity = Verbosity::quiet; }, "no word about busy locks, waits, warnings");
  app.add_flag_callback(
         "-v,--verbose", [&options] { options.verbosity = Verbosity::verbose; }, "say what is going on, on stderr")
      ->excludes(quiet)
      ->group("General");
  quiet->group("General");
}

void add_slots_option(CLI::App& app, LockOptions& options) {
  add_parsed(app, "--slots", options.slots, slots_form, "permits at tier semaphore; 0 is unbounded")
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

void add_lock_options(CLI::App& app, LockOptions& options) {
  add_locks(app, options);
  add_choice_options(app, options);
  add_slots_option(app, options);
  add_create_option(app, options);
  add_waiting_options(app, options);
  add_record_options(app, options);
}

CLI::Option* add_duration(CLI::App& app, const std::string& names, std::optional<std::chrono::nanoseconds>& duration,
                          const std::string& description) {
  return add_parsed(app, names, duration, duration_form, description)->type_name("DURATION");
}

CLI::Option* add_number(CLI::App& app, const std::string& names, std::optional<int>& number, const std::string& type,
                        const std::string& description) {
  return add_parsed(app, names, number, natural_form, description)->type_name(type);
}

}  // namespace grex::cli
