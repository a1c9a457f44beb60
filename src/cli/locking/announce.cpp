#include "cli/locking/announce.hpp"

#include <fmt/format.h>

#include <utility>

#include "cli/args/env_defaults.hpp"
#include "cli/locking/busy.hpp"
#include "cli/report/caveats.hpp"
#include "cli/report/output.hpp"
#include "core/inspect/file_system.hpp"
#include "sys/file/file.hpp"

namespace grex::cli {

Result<void, Failure> open_events(Events& events, const LockOptions& options) {
  auto log = log_file(options.log);
  if (!log) return log.error();
  events.set_note(options.note);
  events.open(options.status_fd);
  if (*log) events.open_log(std::move(**log), options.verbosity != Verbosity::quiet);
  return {};
}

std::unique_ptr<WaitProgress> announce_wait(const LockOptions& options, const GlobalOptions& global,
                                            const Events& events, WaitedLock lock, Failure unknown,
                                            FindBusy find_busy) {
  const bool is_verbose = options.verbosity == Verbosity::verbose;
  const bool shows_line = options.verbosity != Verbosity::quiet && !global.json;
  WaitProgress::Announce announce;
  if (is_verbose || events.is_open()) {
    announce = [is_verbose, &events](const Failure& busy, WaitProgress::News news) {
      if (news == WaitProgress::News::changed) return events.still_waiting(busy);
      events.waiting(busy);
      if (is_verbose) note("waiting for " + busy.path + (busy.why.empty() ? "" : ": " + busy.why));
    };
  }
  if (!announce && !shows_line) return nullptr;
  return std::make_unique<WaitProgress>(std::move(lock), std::move(unknown), std::move(find_busy), std::move(announce),
                                        shows_line ? WaitProgress::Line::shown : WaitProgress::Line::hidden);
}

void WaitAnnouncer::wait_begins(const core::Target& target, const core::TargetFile& file) {
  const BusyLock busy = {name_of(target, file), target.names_from(file), busy_report_of(options_),
                         audience_of(options_, global_, events_)};
  const auto find_busy = [busy](const StopToken& should_stop) { return busy_failure(busy, should_stop); };
  progress_ = announce_wait(options_, global_, events_, waited_lock(core::queue_at(target, file)),
                            unknown_holder_failure(busy), find_busy);
}

void note_caveats(const std::vector<core::HeldLock>& locks) {
  const std::vector<core::Mount> mounts = core::visible_mounts();
  for (const core::HeldLock& lock : locks) {
    std::string last;  // both files are hardly ever on different file systems
    for (const core::HeldFile& held : lock.files()) {
      const auto place = sys::place_of(held.file.fd.get());
      const auto file_system = place ? core::file_system_at(*place, mounts) : std::nullopt;
      const std::string line = file_system ? caveat_line(*file_system) : std::string();
      if (!line.empty() && line != last) note(fmt::format("{}: {}", held.path, line));
      last = line;
    }
  }
}

}  // namespace grex::cli
