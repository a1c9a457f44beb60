#include <CLI/App.hpp>
#include <algorithm>
#include <cerrno>
#include <variant>

#include "cli/commands.hpp"
#include "cli/defaults.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/parser.hpp"
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
  std::vector<unsigned> slot_numbers;  // at tier semaphore, of each file; those after them are queues
  bool all_slots_known = true;
};

// The permits that are there; where they can't be listed, those that are meant.
void find_slots(Row& row, const core::Target& target, unsigned slots) {
  const auto existing = core::existing_slots(target);
  row.all_slots_known = static_cast<bool>(existing);
  if (existing) {
    row.slot_numbers = existing->numbers;
  } else {
    for (unsigned slot = 0; slot < slots; ++slot) row.slot_numbers.push_back(slot);
  }
  for (const unsigned slot : row.slot_numbers) row.files.push_back(core::slot_path(target, slot));
  for (const unsigned queue : existing ? existing->queues : std::vector<unsigned>()) {
    row.files.push_back(core::queue_path(target, queue));
  }
}

Row row_of(const core::Target& target, unsigned slots) {
  Row row;
  row.lock.tier = target.tier();
  row.lock.target = target.path;
  row.lock.path = target.lock_path(0);
  row.lock.slots = slots;
  if (target.tier() == core::Tier::semaphore) {
    find_slots(row, target, slots);
  } else {
    row.files = {row.lock.path};
  }
  return row;
}

// The lock of each tier, in each layout, that the path has. "/" has no backend
// lock, nor in the nested layout what has no meta directory above it.
std::variant<std::vector<core::Target>, Failure> find_targets(const std::string& path, const core::Layouts& layouts) {
  std::vector<core::Target> targets;
  for (const core::Tier tier : core::all_tiers) {
    for (const core::Layout layout : layouts) {
      // One name is enough to know the directory; the permits are listed there.
      auto target = core::resolve({tier, path, 1, core::CreateTarget::no, layout});
      if (target) {
        targets.push_back(std::move(*target));
      } else if (target.error().err != ENOENT) {
        return failure_from(target.error(), tier);
      }
    }
  }
  core::put_in_order(targets);
  return targets;
}

// All locks of one path. A clone's destination may be gone while its backend
// lock is held, so that one is reported even then.
std::optional<Failure> add_rows(const std::string& path, const core::Layouts& layouts, unsigned slots,
                                std::vector<Row>& rows) {
  const auto itself = sys::open_directory(path);
  const bool missing = !itself && itself.error().err == ENOENT;
  if (!itself && !missing) return failure_from(itself.error());
  const auto targets = find_targets(path, layouts);
  if (const auto* failure = std::get_if<Failure>(&targets)) return *failure;
  bool found = false;
  for (const core::Target& target : std::get<std::vector<core::Target>>(targets)) {
    if (missing && core::existing_files(target).empty()) continue;
    rows.push_back(row_of(target, slots));
    found = true;
  }
  return found ? std::nullopt : std::optional(failure_from(itself.error()));
}

// Who waits for any permit waits at several of them.
void add_waiters(std::vector<core::Party>& waiters, const core::FileReport& report, std::optional<unsigned> slot) {
  for (core::Party party : report.waiters) {
    const auto is_it = [&party](const core::Party& other) { return party.pid && other.pid == party.pid; };
    if (std::any_of(waiters.begin(), waiters.end(), is_it)) continue;
    party.slot = slot;
    waiters.push_back(std::move(party));
  }
}

// One report made of those of the permits, and the queues behind them.
void merge(Row& row, const core::FileReport* reports) {
  core::FileReport merged;
  bool any_file = false;
  bool any_unknown = !row.all_slots_known;
  for (std::size_t i = 0; i < row.slot_numbers.size(); ++i) {
    const core::FileReport& report = reports[i];
    any_file = any_file || report.state != core::LockState::absent;
    any_unknown = any_unknown || report.state == core::LockState::unknown;
    if (report.record == core::RecordState::stale || merged.record == core::RecordState::none)
      merged.record = report.record;
    if (row.lock.used == 0) merged.evidence = report.evidence;
    add_waiters(merged.waiters, report, row.slot_numbers[i]);
    if (report.state != core::LockState::held) continue;
    merged.evidence = report.evidence;
    if (merged.mode != sys::Mode::exclusive) merged.mode = report.mode;
    ++row.lock.used;
    for (core::Party party : report.holders) {
      party.slot = row.slot_numbers[i];
      merged.holders.push_back(std::move(party));
    }
  }
  for (std::size_t i = row.slot_numbers.size(); i < row.files.size(); ++i) {
    add_waiters(merged.waiters, reports[i], std::nullopt);
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

}  // namespace

Outcome status(const Invocation& invocation) {
  GlobalOptions global;
  std::vector<std::string> paths;
  CLI::App app("Tell who holds the locks of each PATH, and who waits. Changes nothing.", "grex-lock status");
  add_global_options(app, global);
  add_paths(app, paths);
  set_help(app, "grex-lock status [OPTIONS] [PATH...]",
           "Examples:\n"
           "  grex-lock status ~/ws/app\n"
           "  grex-lock status --json ~/ws/app | jq '.locks[] | select(.state == \"held\")'");
  if (auto outcome = parse(app, invocation)) return *outcome;
  if (auto failure = complete(global)) return failed(*failure);
  std::optional<unsigned> slots;
  if (auto failure = apply_default(slots)) return failed(*failure);

  if (paths.empty()) paths = {core::enclosing_path().value_or(".")};
  std::vector<Row> rows;
  for (const std::string& path : paths) {
    if (auto failure = add_rows(path, *global.layouts, *slots, rows)) return failed(*failure);
  }
  const StatusReport report = report_of(std::move(rows));
  if (global.json) return print(status_document(report));
  return print(status_text(report, use_color(global.color) ? Colored::yes : Colored::no));
}

}  // namespace grex::cli
