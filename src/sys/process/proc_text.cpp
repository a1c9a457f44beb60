#include "sys/process/proc_text.hpp"

#include <signal.h>

#include <cstdlib>
#include <limits>

#include "base/text.hpp"

namespace grex::sys {
namespace {

// The fields from the third on. The second is the command's name in parentheses, and may
// itself contain spaces and parentheses.
std::string_view fields_after_name(std::string_view stat) {
  const auto name_end = stat.rfind(") ");
  return name_end == std::string_view::npos ? std::string_view() : stat.substr(name_end + 2);
}

// Field 9, flags of the kernel (PF_* in include/linux/sched.h); 0 if there is none.
std::uint64_t flags_in(std::string_view stat) {
  constexpr int fields_from_state_to_flags = 6;
  std::string_view fields = fields_after_name(stat);
  for (int i = 0; i < fields_from_state_to_flags; ++i) take_until(fields, ' ');
  return parse_number<std::uint64_t>(take_until(fields, ' ')).value_or(0);
}

// The rest of the first line that starts with the label; empty if there is none.
std::string_view value_after(std::string_view label, std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = take_until(text, '\n');
    if (line.starts_with(label)) return line.substr(label.size());
  }
  return {};
}

// Numbers separated by tabs; empty if one of the words is none.
std::vector<pid_t> numbers_in(std::string_view line) {
  std::vector<pid_t> numbers;
  while (!line.empty()) {
    const auto number = parse_number<pid_t>(take_until(line, '\t'));
    if (!number) return {};
    numbers.push_back(*number);
  }
  return numbers;
}

}  // namespace

std::optional<std::uint64_t> parse_start_time(std::string_view stat) {
  constexpr int fields_from_state_to_start_time = 19;
  std::string_view fields = fields_after_name(stat);
  for (int i = 0; i < fields_from_state_to_start_time; ++i) take_until(fields, ' ');
  return parse_number<std::uint64_t>(take_until(fields, ' '));
}

std::string_view parse_command_name(std::string_view stat) {
  const auto begin = stat.find('(');
  const auto end = stat.rfind(") ");
  return begin < end && end != std::string_view::npos ? stat.substr(begin + 1, end - begin - 1) : std::string_view();
}

std::optional<pid_t> parse_parent(std::string_view stat) {
  std::string_view fields = fields_after_name(stat);
  take_until(fields, ' ');
  return parse_number<pid_t>(take_until(fields, ' '));
}

std::vector<pid_t> parse_children(std::string_view children) {
  std::vector<pid_t> pids;
  while (!children.empty()) {
    if (const auto pid = parse_number<pid_t>(take_word(children))) pids.push_back(*pid);
  }
  return pids;
}

bool has_ended(std::string_view stat) {
  const std::string_view fields = fields_after_name(stat);
  return fields.starts_with('Z') || fields.starts_with('X');
}

bool is_ending(std::string_view stat) {
  constexpr std::uint64_t exiting = 0x00000004;
  return (flags_in(stat) & exiting) != 0;
}

bool is_kernel_thread(std::string_view stat) {
  constexpr std::uint64_t kernel_thread = 0x00200000;
  return (flags_in(stat) & kernel_thread) != 0;
}

bool is_stopped_by_signal(std::string_view stat) { return fields_after_name(stat).starts_with('T'); }

bool ignores_sigterm(std::string_view status) {
  const auto ignored = parse_number<std::uint64_t>(value_after("SigIgn:\t", status), 16);
  return ignored && (*ignored >> (SIGTERM - 1) & 1U) != 0;
}

bool is_stopped(std::string_view stat) {
  const std::string_view fields = fields_after_name(stat);
  return fields.starts_with('T') || fields.starts_with('t');
}

std::vector<std::string> parse_command_line(std::string_view cmdline) {
  std::vector<std::string> arguments;
  while (!cmdline.empty()) arguments.emplace_back(take_until(cmdline, '\0'));
  return arguments;
}

std::optional<pid_t> parse_innermost_pid(std::string_view status) {
  const std::string_view line = value_after("NSpid:\t", status);
  return parse_number<pid_t>(line.substr(line.rfind('\t') + 1));
}

std::vector<pid_t> parse_pids(std::string_view status) { return numbers_in(value_after("NSpid:\t", status)); }

std::vector<pid_t> parse_sessions(std::string_view status) { return numbers_in(value_after("NSsid:\t", status)); }

std::optional<std::int64_t> parse_boot_offset(std::string_view offsets) {
  constexpr std::string_view label = "boottime";
  while (!offsets.empty()) {
    std::string_view line = take_until(offsets, '\n');
    if (take_word(line) != label) continue;
    const auto seconds = parse_number<std::int64_t>(take_word(line));
    const auto nanoseconds = parse_number<std::int64_t>(take_word(line));
    constexpr std::int64_t second = 1'000'000'000;
    constexpr std::int64_t most_seconds = std::numeric_limits<std::int64_t>::max() / second - 1;
    if (!seconds || !nanoseconds || std::abs(*nanoseconds) >= second) return std::nullopt;
    if (*seconds > most_seconds || *seconds < -most_seconds) return std::nullopt;
    return *seconds * second + *nanoseconds;
  }
  return std::nullopt;
}

std::optional<uid_t> parse_real_user(std::string_view status) {
  std::string_view users = value_after("Uid:\t", status);
  return parse_number<uid_t>(take_until(users, '\t'));
}

std::optional<std::uint64_t> parse_pending_signals(std::string_view status) {
  return parse_number<std::uint64_t>(value_after("ShdPnd:\t", status), 16);
}

std::optional<pid_t> parse_opened_pid(std::string_view fdinfo) {
  return parse_number<pid_t>(value_after("Pid:\t", fdinfo));
}

std::optional<std::uint64_t> parse_mount_id(std::string_view fdinfo) {
  return parse_number<std::uint64_t>(value_after("mnt_id:\t", fdinfo));
}

std::optional<std::uint64_t> parse_open_flags(std::string_view fdinfo) {
  return parse_number<std::uint64_t>(value_after("flags:\t", fdinfo), 8);
}

// The kernel appends this if the name was removed (fs/d_path.c, path_with_deleted).
std::optional<std::string_view> removed_path(std::string_view name) {
  constexpr std::string_view removed = " (deleted)";
  if (!name.ends_with(removed)) return std::nullopt;
  name.remove_suffix(removed.size());
  return name;
}

std::optional<std::string_view> parse_variable(std::string_view environ, std::string_view name) {
  while (!environ.empty()) {
    std::string_view variable = take_until(environ, '\0');
    if (!variable.starts_with(name)) continue;
    variable.remove_prefix(name.size());
    if (variable.starts_with('=')) return variable.substr(1);
  }
  return std::nullopt;
}

std::optional<std::string> parse_user_name(std::string_view passwd, uid_t uid) {
  while (!passwd.empty()) {
    std::string_view line = take_until(passwd, '\n');
    const std::string_view name = take_until(line, ':');
    take_until(line, ':');
    if (parse_number<uid_t>(take_until(line, ':')) == uid) return std::string(name);
  }
  return std::nullopt;
}

}  // namespace grex::sys
