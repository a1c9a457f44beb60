// /proc/PID/stat, cmdline, status, fdinfo, and /etc/passwd. Other users choose the names
// and arguments of their processes.

#include "sys/process/proc_text.hpp"

#include <algorithm>

#include "fuzz.hpp"

using namespace grex;
using fuzz::require;

namespace {

// Any name can be separated from the fields after it.
void check_stat_of(const std::string& name, char state) {
  const std::string stat = "42 (" + name + ") " + state + " 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 2\n";
  require(sys::parse_command_name(stat) == name);
  require(sys::parse_parent(stat) == 7);
  require(sys::parse_start_time(stat) == 987654);
  require(sys::has_ended(stat) == (state == 'Z' || state == 'X'));
}

void check_stat(std::string_view text) {
  require(fuzz::is_within(sys::parse_command_name(text), text));
  const bool has_name = text.find(") ") != std::string_view::npos;
  require(has_name || (!sys::parse_parent(text) && !sys::parse_start_time(text) && !sys::has_ended(text)));
  for (const char state : {'S', 'Z', 'X'}) check_stat_of(std::string(text), state);
}

void check_removed_path(std::string_view text) {
  require(sys::removed_path(std::string(text) + " (deleted)") == text);
  const auto path = sys::removed_path(text);
  require(!path || std::string(*path) + " (deleted)" == text);
}

void check_command_line(std::string_view text) {
  const auto arguments = sys::parse_command_line(text);
  std::string joined;
  for (const std::string& argument : arguments) joined += argument + '\0';
  // The last NUL may be missing.
  require(joined == text || joined == std::string(text) + '\0');
}

void check_numbers(std::string_view text) {
  // A number that is found is on a line of the text, written in the same way.
  if (const auto pid = sys::parse_opened_pid(text)) {
    require(sys::parse_opened_pid("pos:\t0\nPid:\t" + std::to_string(*pid) + "\nNSpid:\t1\n") == pid);
    require(("\n" + std::string(text)).find("\nPid:\t") != std::string::npos);
  }
  if (const auto user = sys::parse_real_user(text)) {
    require(sys::parse_real_user("Name:\tx\nUid:\t" + std::to_string(*user) + "\t1\t2\t3\n") == user);
    require(("\n" + std::string(text)).find("\nUid:\t") != std::string::npos);
  }
  if (const auto mount = sys::parse_mount_id(text)) {
    require(sys::parse_mount_id("pos:\t0\nmnt_id:\t" + std::to_string(*mount) + "\nino:\t3\n") == mount);
    require(("\n" + std::string(text)).find("\nmnt_id:\t") != std::string::npos);
  }
  (void)sys::parse_pending_signals(text);
  (void)sys::is_stopped(text);
  if (const auto pid = sys::parse_innermost_pid(text)) {
    require(sys::parse_innermost_pid("Name:\tx\nNSpid:\t1\t" + std::to_string(*pid) + "\nNSpgid:\t2\n") == pid);
    require(text.find("\nNSpid:\t") != std::string_view::npos);
    const auto pids = sys::parse_pids(text);
    require(pids.empty() || pids.back() == pid);
  }
  for (const pid_t child : sys::parse_children(text))
    require(text.find(std::to_string(child)) != std::string_view::npos);
  const auto sessions = sys::parse_sessions(text);
  std::string line = "NSsid:";
  for (const pid_t session : sessions) line += "\t" + std::to_string(session);
  require(sys::parse_sessions("NSpid:\t1\n" + line + "\nVmPeak:\t1 kB\n") == sessions);
  require(sessions.empty() || ("\n" + std::string(text)).find("\nNSsid:\t") != std::string::npos);
  constexpr std::int64_t second = 1'000'000'000;
  if (const auto offset = sys::parse_boot_offset(text)) {
    const std::string shown = "boottime " + std::to_string(*offset / second) + " " + std::to_string(*offset % second);
    require(sys::parse_boot_offset("monotonic 1 1\n" + shown + "\n") == offset);
  }
}

void check_users(std::string_view text) {
  for (const uid_t uid : {uid_t{0}, uid_t{1000}, uid_t{65534}}) {
    const auto name = sys::parse_user_name(text, uid);
    if (!name) continue;
    require(name->find_first_of(":\n") == std::string::npos);
    require(("\n" + std::string(text)).find("\n" + *name + ":") != std::string::npos);
    require(sys::parse_user_name(*name + ":x:" + std::to_string(uid) + ":1::/:/bin/sh\n", uid) == name);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  check_stat(text);
  check_removed_path(text);
  check_command_line(text);
  check_numbers(text);
  check_users(text);
  return 0;
}
