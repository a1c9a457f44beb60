#include <CLI/App.hpp>
#include <algorithm>
#include <cerrno>

#include "cli/commands.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/report_json.hpp"
#include "cli/report_text.hpp"
#include "cli/status_report.hpp"
#include "sys/proc.hpp"

namespace grex::cli {
namespace {

// One lock of the report, and where its files' reports are among all.
struct Row {
  LockReport lock;
  std::vector<std::string> files;
  std::vector<unsigned> slot_numbers;  // at tier semaphore, of each file
  bool all_slots_known = true;
};

// The permits that are there, whatever number of them was meant by whoever
// made them; where the directory can't be listed, those that are meant now.
void find_slots(Row& row, const core::Target& target, unsigned slots) {
  const auto names = sys::names_in(target.directory.path);
  row.all_slots_known = static_cast<bool>(names);
  for (unsigned slot = 0; !names && slot < slots; ++slot) row.slot_numbers.push_back(slot);
  for (const std::string& name : names ? *names : std::vector<std::string>()) {
    if (const auto slot = core::slot_number(name)) row.slot_numbers.push_back(*slot);
  }
  std::sort(row.slot_numbers.begin(), row.slot_numbers.end());
  for (const unsigned slot : row.slot_numbers) {
    row.files.push_back(target.directory.path + "/" + core::lock_name(core::Tier::semaphore, {}, slot));
  }
}

Row row_of(core::Tier tier, const core::Target& target, unsigned slots) {
  Row row;
  row.lock.tier = tier;
  row.lock.target = target.path;
  row.lock.path = target.lock_path(0);
  row.lock.slots = slots;
  if (tier == core::Tier::semaphore) {
    find_slots(row, target, slots);
  } else {
    row.files = {row.lock.path};
  }
  return row;
}

// All tiers of one path. A clone's destination may be gone while its backend
// lock is held, so that one is reported even then. "/" has no backend lock.
std::optional<Failure> add_rows(const std::string& path, unsigned slots, std::vector<Row>& rows) {
  const auto itself = sys::open_directory(path);
  const bool missing = !itself && itself.error().err == ENOENT;
  if (!itself && !missing) return failure_from(itself.error());
  bool found = false;
  for (const core::Tier tier : core::all_tiers) {
    // One name is enough to know the directory; the permits are listed there.
    const auto target = core::resolve({tier, path, 1, core::CreateTarget::no});
    if (!target && target.error().err != ENOENT) return failure_from(target.error(), tier);
    if (!target || (missing && core::existing_files(*target).empty())) continue;
    rows.push_back(row_of(tier, *target, slots));
    found = true;
  }
  return found ? std::nullopt : std::optional(failure_from(itself.error()));
}

// One report made of those of the permits.
void merge(Row& row, const core::FileReport* reports) {
  core::FileReport merged;
  bool any_file = false;
  bool any_unknown = !row.all_slots_known;
  for (std::size_t i = 0; i < row.files.size(); ++i) {
    const core::FileReport& report = reports[i];
    any_file = any_file || report.state != core::LockState::absent;
    any_unknown = any_unknown || report.state == core::LockState::unknown;
    if (report.record == core::RecordState::stale || merged.record == core::RecordState::none)
      merged.record = report.record;
    if (row.lock.used == 0) merged.evidence = report.evidence;
    for (core::Party party : report.waiters) {
      party.slot = row.slot_numbers[i];
      merged.waiters.push_back(std::move(party));
    }
    if (report.state != core::LockState::held) continue;
    merged.evidence = report.evidence;
    if (merged.mode != sys::Mode::exclusive) merged.mode = report.mode;
    ++row.lock.used;
    for (core::Party party : report.holders) {
      party.slot = row.slot_numbers[i];
      merged.holders.push_back(std::move(party));
    }
  }
  merged.state = any_file ? core::LockState::free : core::LockState::absent;
  if (any_unknown) merged.state = core::LockState::unknown;
  if (row.lock.used > 0) merged.state = core::LockState::held;
  row.lock.file = std::move(merged);
}

StatusReport report_of(std::vector<Row> rows) {
  std::vector<std::string> files;
  for (const Row& row : rows) files.insert(files.end(), row.files.begin(), row.files.end());
  StatusReport report{sys::host_name(), core::utc_now(), {}};
  const std::vector<core::FileReport> reports = core::inspect(files);
  std::size_t next = 0;
  for (Row& row : rows) {
    if (row.lock.tier == core::Tier::semaphore) {
      merge(row, reports.data() + next);
    } else {
      row.lock.file = reports[next];
    }
    next += row.files.size();
    report.locks.push_back(std::move(row.lock));
  }
  return report;
}

// CLI11 takes a word in brackets for a list of several.
Invocation with_plain_brackets(Invocation invocation) {
  for (std::string& word : invocation.arguments) {
    if (word.starts_with('[')) word.insert(0, "./");
  }
  return invocation;
}

}  // namespace

Outcome status(const Invocation& invocation) {
  GlobalOptions global;
  std::vector<std::string> paths;
  CLI::App app("Tell who holds the locks of each PATH, and who waits. Changes nothing.", "grex-lock status");
  add_global_options(app, global);
  app.add_option("PATH", paths)->check(refuse_empty_path);
  set_help(app, "grex-lock status [OPTIONS] [PATH...]",
           "Examples:\n"
           "  grex-lock status ~/ws/app\n"
           "  grex-lock status --json ~/ws/app | jq '.locks[] | select(.state == \"held\")'");
  if (auto outcome = parse(app, with_plain_brackets(invocation))) return *outcome;
  if (auto failure = apply_environment(global)) return failed(*failure);
  Slots slots = default_slots();
  if (slots.failure) return failed(*slots.failure);

  if (paths.empty()) paths = {core::enclosing_path().value_or(".")};
  std::vector<Row> rows;
  for (const std::string& path : paths) {
    if (auto failure = add_rows(path, slots.count, rows)) return failed(*failure);
  }
  const StatusReport report = report_of(std::move(rows));
  if (global.json) return print(status_document(report));
  return print(status_text(report, use_color(global.color) ? Colored::yes : Colored::no));
}

}  // namespace grex::cli
