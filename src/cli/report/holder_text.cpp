#include "cli/report/holder_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/report/printable.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

using core::Party;

// A line is for the eye; --json has the whole command.
std::string shortened(std::string text) {
  constexpr std::size_t longest = 72;
  return cut_to(std::move(text), longest);
}

// A number on another host, or in a container that is called otherwise, means
// somebody else here.
std::string pid_text(const Party& party) {
  std::string text = party.pid ? fmt::format("pid {}", *party.pid) : "a process";
  if (!party.host.empty() && party.host != sys::host_name()) text += " on " + printable(party.host);
  return text;
}

// Whom to go and see about a lock: who took it, if that process is still
// there; else whoever inherited it.
const Party& spokesman(const std::vector<Party>& holders) {
  const auto alive =
      std::find_if(holders.begin(), holders.end(), [](const Party& party) { return party.alive.value_or(false); });
  return alive != holders.end() ? *alive : holders.front();
}

std::string party_text(const Party& party, core::UtcTime now, Detail detail) {
  std::string text = pid_text(party);
  if (party.user && detail != Detail::brief) text += fmt::format(" ({})", printable(*party.user));
  if (party.alive == false) text += " (gone)";
  if (party.since) text += " for " + core::to_text(now - *party.since);
  if (party.since && detail == Detail::all) text += " since " + core::to_text(*party.since);
  const bool has_note = party.note && !party.note->empty();
  if (has_note || !party.command.empty()) text += ":";
  // Before the command, whose end may have to be cut.
  if (has_note) text += fmt::format(" [{}]", printable(*party.note));
  if (!party.command.empty()) text += " " + shortened(shell_line(party.command));
  return text;
}

// What the record says of the lock, wherever it is: its writer may be gone
// while its command still holds the lock.
std::string what_is_known(const std::vector<Party>& holders, core::UtcTime now, Detail detail) {
  const Party& speaker = spokesman(holders);
  const Party& first = holders.front();
  std::string text = party_text(speaker, now, detail);
  if (&speaker == &first || first.role != core::Role::acquirer) return text;
  Party taker = first;
  if (taker.command == speaker.command) taker.command.clear();
  return text + ", from " + party_text(taker, now, detail);
}

}  // namespace

std::string holder_line(const std::vector<Party>& holders, core::UtcTime now, Detail detail) {
  if (holders.empty()) return "held by a process that can't be seen from here";
  std::string text = (detail == Detail::brief ? "" : "held by ") + what_is_known(holders, now, detail);
  const auto takers = std::count_if(holders.begin(), holders.end(),
                                    [](const Party& party) { return party.role == core::Role::acquirer; });
  if (takers > 1) text += fmt::format(", and {} more", takers - 1);
  return text;
}

}  // namespace grex::cli
