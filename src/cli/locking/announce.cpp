#include "cli/locking/announce.hpp"

#include <fmt/format.h>

#include "cli/locking/plan.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "core/lock/stack_json.hpp"

namespace grex::cli {

Audience audience_of(const LockOptions& options, const GlobalOptions& global, const Events& events) {
  if (global.json || events.is_open()) return Audience::programs;
  return options.verbosity == Verbosity::quiet ? Audience::none : Audience::people;
}

std::unique_ptr<WaitProgress> announce_wait(const LockOptions& options, const GlobalOptions& global,
                                            const Events& events, core::Queue queue, FindBusy find_busy) {
  const bool is_verbose = options.verbosity == Verbosity::verbose;
  if (is_verbose || events.is_open()) {
    const Failure failure = find_busy(core::never_stop);
    events.waiting(failure);
    if (is_verbose) note(fmt::format("waiting for {}: {}", failure.path, failure.why));
  }
  if (options.verbosity == Verbosity::quiet || global.json) return nullptr;
  return std::make_unique<WaitProgress>(std::move(queue), std::move(find_busy));
}

void WaitAnnouncer::wait_begins(const core::Target& target) {
  const auto find_busy = [this, &target](const core::StopToken& should_stop) {
    return busy_failure(name_of(target), target.lock_paths(), busy_report_of(options_),
                        audience_of(options_, global_, events_), should_stop);
  };
  progress_ = announce_wait(options_, global_, events_, core::queue_at(target), find_busy);
}

std::string export_line(const core::TierStack& stack) {
  return fmt::format("export {}={}\n", core::stack_variable, in_quotes(stack.empty() ? "" : core::to_text(stack)));
}

std::string held_document(std::string_view verb, const std::vector<core::HeldLock>& locks) {
  Json document = document_of(verb);
  Json& entries = document["locks"] = Json::array();
  for (const core::HeldLock& lock : locks) entries.push_back(core::to_json(lock.stack_entry()));
  return to_line(document);
}

std::string paths_of(const std::vector<core::HeldLock>& locks) {
  std::string paths;
  for (const core::HeldLock& lock : locks) paths += (paths.empty() ? "" : ", ") + lock.path();
  return paths;
}

}  // namespace grex::cli
