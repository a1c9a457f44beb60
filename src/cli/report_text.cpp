#include "cli/report_text.hpp"

#include <fmt/color.h>
#include <fmt/format.h>

#include <algorithm>

#include "cli/printable.hpp"

namespace grex::cli {
namespace {

using core::LockState;
using core::Party;

// A line is for the eye; --json has the whole command.
std::string shortened(std::string text) {
  constexpr std::size_t longest = 72;
  return cut_to(std::move(text), longest);
}

std::string pid_text(const Party& party) { return party.pid ? fmt::format("pid {}", *party.pid) : "a process"; }

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
  if (!party.command.empty()) text += ": " + shortened(shell_line(party.command));
  if (party.note && !party.note->empty()) text += fmt::format(" [{}]", printable(*party.note));
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

fmt::text_style style_of(LockState state) {
  switch (state) {
    case LockState::held:
      return fmt::fg(fmt::terminal_color::yellow);
    case LockState::free:
      return fmt::fg(fmt::terminal_color::green);
    case LockState::absent:
      return fmt::emphasis::faint;
    case LockState::unknown:
      break;
  }
  return fmt::fg(fmt::terminal_color::red);
}

// How many processes more have the lock of the first: at tier semaphore others
// hold other permits.
std::size_t processes_beside(const std::vector<Party>& holders) {
  if (holders.empty()) return 0;
  const auto same_lock = std::count_if(holders.begin(), holders.end(),
                                       [&holders](const Party& party) { return party.slot == holders.front().slot; });
  return static_cast<std::size_t>(same_lock) - 1;
}

std::string details_of(const LockReport& lock, core::UtcTime now) {
  std::string text;
  if (lock.tier == core::Tier::semaphore && lock.slots != 0) text = fmt::format("{} of {} used", lock.used, lock.slots);
  if (lock.file.state == LockState::held) {
    if (!text.empty()) text += ", ";
    text += lock.file.holders.empty() ? "by a process that can't be seen from here"
                                      : what_is_known(lock.file.holders, now, Detail::all);
    const std::size_t others = processes_beside(lock.file.holders);
    if (others > 0) text += fmt::format(", open in {} more", others);
  }
  if (!lock.file.waiters.empty()) text += fmt::format("; {} waiting", lock.file.waiters.size());
  if (lock.file.record == core::RecordState::stale) text += text.empty() ? "stale record" : "; stale record";
  return text;
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

std::string status_text(const StatusReport& report, Colored colored) {
  constexpr int tier_width = 14;  // workspace-sync
  constexpr int state_width = 7;  // unknown
  constexpr int mode_width = 9;   // exclusive
  std::size_t path_width = 0;
  for (const LockReport& lock : report.locks) path_width = std::max(path_width, printable(lock.path).size());

  std::string text;
  for (const LockReport& lock : report.locks) {
    const std::string state = fmt::format("{:<{}}", core::name_of(lock.file.state), state_width);
    std::string line =
        fmt::format("{:<{}}  {}  {:<{}}  {:<{}}  {}", core::name_of(lock.tier), tier_width,
                    colored == Colored::yes ? fmt::format(style_of(lock.file.state), "{}", state) : state,
                    lock.file.mode ? sys::name_of(*lock.file.mode) : "-", mode_width, printable(lock.path), path_width,
                    details_of(lock, report.taken_at));
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace grex::cli
