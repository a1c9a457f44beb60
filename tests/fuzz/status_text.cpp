// Reports on locks with any names, notes and commands: a terminal obeys nothing in the
// text, and the JSON is one line.

#include "cli/commands/status_text.hpp"

#include <algorithm>

#include "cli/commands/status_json.hpp"
#include "cli/report/failure.hpp"
#include "cli/report/holder_text.hpp"
#include "cli/report/json.hpp"
#include "cli/report/printable.hpp"
#include "fuzz.hpp"
#include "shown_text.hpp"

using namespace grex;
using fuzz::require;

namespace {

// The texts of an input, one after the other, and empty ones after the last.
class Texts {
 public:
  explicit Texts(std::string_view rest) : rest_(rest) {}
  [[nodiscard]] bool is_at_end() const { return rest_.empty(); }
  std::string next() { return std::string(take_until(rest_, '\0')); }
  // A number below `end`, from the length of the next text.
  unsigned below(std::size_t end) { return static_cast<unsigned>(next().size() % end); }

 private:
  std::string_view rest_;
};

core::LockProcess next_process(Texts& texts, UtcTime now) {
  core::LockProcess process;
  process.user = texts.next();
  process.note = texts.next();
  process.cwd = texts.next();
  process.host = texts.next();
  process.verb = texts.next();
  for (unsigned i = texts.below(4); i > 0; --i) process.command.push_back(texts.next());
  if (const unsigned age = texts.below(40); age > 0) process.since = now - std::chrono::hours(age * age * age);
  if (const unsigned alive = texts.below(3); alive > 0) process.alive = alive == 1;
  return process;
}

// Each is a child of the one before, or has no known parent.
std::vector<core::LockProcess> next_processes(Texts& texts, UtcTime now) {
  std::vector<core::LockProcess> processes;
  for (unsigned i = texts.below(4); i > 0; --i) {
    processes.push_back(next_process(texts, now));
    if (processes.size() > 1 && texts.below(2) == 1) processes.back().parent = processes[processes.size() - 2].pid;
    processes.back().pid = static_cast<pid_t>(processes.size() * 1000);
  }
  return processes;
}

cli::StatusReport report_of(std::string_view text) {
  Texts texts(text);
  cli::StatusReport report;
  report.taken_at = *parse_utc("2026-11-23T16:11:54.821Z");
  report.host = texts.next();
  while (!texts.is_at_end()) {
    core::LockReport lock;
    lock.tier = core::all_tiers.at(texts.below(core::all_tiers.size()));
    lock.merged.state = static_cast<core::LockState>(texts.below(5));
    lock.path = texts.next();
    lock.target = texts.next();
    lock.file_system = core::FileSystem{texts.next(), static_cast<core::LockCaveat>(texts.below(5))};
    lock.merged.holders = next_processes(texts, report.taken_at);
    lock.merged.waiters = next_processes(texts, report.taken_at);
    core::DeadlockReport deadlock;
    for (const core::LockProcess& waiter : lock.merged.waiters) deadlock.push_back({waiter, lock.path});
    if (!deadlock.empty() && texts.below(2) == 1) report.deadlocks.push_back(std::move(deadlock));
    report.locks.push_back(std::move(lock));
  }
  return report;
}

void check_lines(const std::string& text, std::size_t columns) {
  require(text.empty() || text.ends_with('\n'));
  for (const std::string& line : fuzz::split(text, '\n')) {
    require(fuzz::is_one_harmless_line(line) && cli::width_of(line) <= columns);
  }
}

void check_failure(const core::LockReport& lock, const cli::StatusReport& report) {
  cli::Failure failure = cli::usage_failure(lock.target, report.host);
  failure.path = lock.path;
  failure.holders = lock.merged.holders;
  const std::string text = cli::to_text(failure);
  check_lines(text, std::string::npos);
  require(std::count(text.begin(), text.end(), '\n') == (failure.hint.empty() ? 1 : 2));
  require(fuzz::is_json_line(cli::error_document(report.host, failure)));
  for (const cli::Detail detail : {cli::Detail::all, cli::Detail::no_date, cli::Detail::brief}) {
    require(fuzz::is_one_harmless_line(cli::holder_text(lock.merged.holders, report.taken_at, detail)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const cli::StatusReport report = report_of(fuzz::text_of(data, size));
  const std::size_t columns = 1 + size % 120;
  check_lines(cli::status_text(report, {cli::Colored::no, cli::Verbosity::normal}), std::string::npos);
  check_lines(cli::status_text(report, {cli::Colored::no, cli::Verbosity::verbose}), std::string::npos);
  check_lines(cli::status_text(report, {cli::Colored::no, cli::Verbosity::verbose, columns}), columns);
  require(fuzz::is_json_line(cli::status_document(report)));
  for (const core::LockReport& lock : report.locks) check_failure(lock, report);
  return 0;
}
