#include "core/hold.hpp"

#include "core/process_text.hpp"
#include "sys/pidfd.hpp"
#include "sys/proc.hpp"

namespace grex::core {
namespace {

bool claims_to_hold(const Party& party) {
  return party.role == Role::acquirer && party.pid && party.alive == true && party.verb == "hold" && party.identity;
}

}  // namespace

std::vector<Hold> find_holds(const FileReport& report) {
  std::vector<Hold> holds;
  if (report.record != RecordState::valid || report.evidence != Evidence::kernel) return holds;
  for (const Party& party : report.holders) {
    if (!claims_to_hold(party)) continue;
    auto process = sys::open_process(*party.pid);
    if (!process) continue;
    // From here on the number is that process's, until we close it.
    const auto stat = sys::process_file(*party.pid, "stat");
    const bool is_writer = stat && parse_start_time(*stat) == party.identity->start_time &&
                           party.identity->boot_id == sys::boot_id() && !has_ended(*stat);
    if (is_writer) holds.push_back({*party.pid, std::move(*process)});
  }
  return holds;
}

}  // namespace grex::core
