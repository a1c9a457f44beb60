#include <doctest/doctest.h>

#include "sys/process/proc_text.hpp"

using namespace grex::sys;

TEST_CASE("the process of a pidfd is the one in its Pid line") {
  CHECK(parse_opened_pid("pos:\t0\nflags:\t02000002\nPid:\t42\nNSpid:\t42\n") == 42);
  CHECK(parse_opened_pid("Pid:\t-1\n") == -1);
  CHECK_FALSE(parse_opened_pid("NSpid:\t42\n"));
  CHECK_FALSE(parse_opened_pid(""));
}

TEST_CASE("the mount of a descriptor is the one in its mnt_id line") {
  CHECK(parse_mount_id("pos:\t0\nflags:\t0100000\nmnt_id:\t111\nino:\t3\n") == 111);
  CHECK_FALSE(parse_mount_id("pos:\t0\n"));
}

TEST_CASE("the real user of a process is the first number of its Uid line") {
  CHECK(parse_real_user("Name:\tUid:\nUmask:\t0022\nUid:\t1000\t0\t0\t0\nGid:\t7\t7\t7\t7\n") == 1000);
  CHECK_FALSE(parse_real_user("Name:\tx\nUid:\tx\t0\n"));
  CHECK_FALSE(parse_real_user(""));
}

// SECURITY.md: use a name such as `x) S 1 (`, to look like another process in /proc | the last parenthesis counts
TEST_CASE("the start time is found after any command name") {
  const std::string tail = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987654 20 21\n";
  CHECK(parse_start_time("42 (sh)" + tail) == 987654);
  CHECK(parse_parent("42 (a) b) ( S 1)" + tail) == 1);
  CHECK_FALSE(parse_parent("42 sh S 1 2 3"));
  CHECK(parse_command_name("42 (a) b) ( S 1)" + tail) == "a) b) ( S 1");
  CHECK(parse_command_name("42 sh S 1 2 3").empty());
  CHECK(parse_start_time("42 (a) b) ( S 1)" + tail) == 987654);
  CHECK_FALSE(parse_start_time(""));
  CHECK_FALSE(parse_start_time("42 (sh) S 1 2 3"));
  CHECK_FALSE(parse_start_time("42 sh S 1 2 3"));
}

TEST_CASE("a zombie has ended") {
  CHECK(has_ended("42 (sh) Z 1 2 3"));
  CHECK(has_ended("42 (a) S ) X 1 2 3"));
  CHECK_FALSE(has_ended("42 (Z) S 1 2 3"));
  CHECK_FALSE(has_ended(""));
}

TEST_CASE("a debugger's stop is not that of a signal") {
  CHECK(is_stopped_by_signal("42 (sh) T 1 2 3"));
  CHECK_FALSE(is_stopped_by_signal("42 (sh) t 1 2 3"));
  CHECK(is_stopped("42 (sh) t 1 2 3"));
  CHECK_FALSE(is_stopped_by_signal("42 (T) S 1 2 3"));
}

TEST_CASE("a process whose end has begun is known by its flags") {
  CHECK(is_ending("42 (sh) D 1 42 42 34816 42 4194308 0 0"));
  CHECK_FALSE(is_ending("42 (sh) S 1 42 42 34816 42 4194304 0 0"));
  CHECK_FALSE(is_ending("42 (sh) S 1 42 42 34816 4"));
  CHECK_FALSE(is_ending(""));
}

TEST_CASE("a thread of the kernel is known by its flags") {
  CHECK(is_kernel_thread("20 (cpuhp/1) S 2 0 0 0 -1 69238848 0 0"));
  CHECK_FALSE(is_kernel_thread("42 (sh) S 1 42 42 34816 42 4194304 0 0"));
  CHECK_FALSE(is_kernel_thread("42 (sh) S 1 42 42 34816 42"));
  CHECK_FALSE(is_kernel_thread(""));
}

TEST_CASE("a command line is split at its NULs and keeps empty arguments") {
  using std::string_literals::operator""s;
  CHECK(parse_command_line("sh\0-c\0\0x y\0"s) == std::vector<std::string>{"sh", "-c", "", "x y"});
  CHECK(parse_command_line("a title without NUL") == std::vector<std::string>{"a title without NUL"});
  CHECK(parse_command_line("").empty());
}

TEST_CASE("a variable is the first of its name that has a value") {
  using std::string_literals::operator""s;
  CHECK(parse_variable("A=1\0STACK=x=y\0STACK=z\0"s, "STACK") == "x=y");
  CHECK(parse_variable("STACK\0STACK_2=a\0STACK=b"s, "STACK") == "b");
  CHECK(parse_variable("STACK=\0"s, "STACK") == "");
  CHECK_FALSE(parse_variable("STACK\0ASTACK=x\0"s, "STACK"));
  CHECK_FALSE(parse_variable("", "STACK"));
}

TEST_CASE("the innermost process id is the last of NSpid") {
  CHECK(parse_innermost_pid("Name:\tx\nNSpid:\t1234\t7\nNSpgid:\t1\n") == 7);
  CHECK(parse_innermost_pid("Name:\tx\nNSpid:\t1234\n") == 1234);
  CHECK_FALSE(parse_innermost_pid("Name:\tx\n"));
  CHECK_FALSE(parse_innermost_pid("Name:\tx\nNSpid:\tx\n"));
}

TEST_CASE("a process is stopped by a signal or by a tracer") {
  CHECK(is_stopped("1 (x) S 1) T 1 1"));
  CHECK(is_stopped("1 (x) t 1 1"));
  CHECK_FALSE(is_stopped("1 (x) S 1 1"));
  CHECK_FALSE(is_stopped(""));
}

TEST_CASE("the signals that have arrived are those of the process, not of a thread") {
  CHECK(parse_pending_signals("SigPnd:\t0000000000000001\nShdPnd:\t0000000000004002\nSigBlk:\tff\n") == 0x4002);
  CHECK_FALSE(parse_pending_signals("SigPnd:\t0000000000000001\n"));
  CHECK_FALSE(parse_pending_signals("ShdPnd:\tx\n"));
}

TEST_CASE("the children of a thread are listed with spaces between and behind them") {
  CHECK(parse_children("12 345 ") == std::vector<pid_t>{12, 345});
  CHECK(parse_children("").empty());
  CHECK(parse_children("x 12 ") == std::vector<pid_t>{12});
}

TEST_CASE("a process has one number for each PID namespace from that of /proc on") {
  CHECK(parse_pids("Name:\tx\nNSpid:\t1234\t7\nNSpgid:\t1\n") == std::vector<pid_t>{1234, 7});
  CHECK(parse_pids("Name:\tx\nNSpid:\t1234\n") == std::vector<pid_t>{1234});
  CHECK(parse_pids("Name:\tx\n").empty());
  CHECK(parse_pids("Name:\tx\nNSpid:\t1234\tx\n").empty());
}

TEST_CASE("a session has one number for each PID namespace, too") {
  const char* const status = "Name:\tNSsid:\t1\nNSpid:\t1234\t7\nNSpgid:\t1233\t0\nNSsid:\t1200\t0\nVmPeak:\t1 kB\n";
  CHECK(parse_sessions(status) == std::vector<pid_t>{1200, 0});
  CHECK(parse_sessions("NSsid:\t1200\n") == std::vector<pid_t>{1200});
  CHECK(parse_sessions("NSpid:\t1234\t7\n").empty());
  CHECK(parse_sessions("NSsid:\t1200\t\tx\n").empty());
}

TEST_CASE("the offset of the boot clock in a time namespace is read to the nanosecond") {
  CHECK(parse_boot_offset("monotonic           0         0\nboottime            0         0\n") == 0);
  CHECK(parse_boot_offset("monotonic           7         0\nboottime       -86400        12\n") == -86'399'999'999'988);
  CHECK_FALSE(parse_boot_offset("boottime 99999999999999999 0\n"));
  CHECK_FALSE(parse_boot_offset("boottime 1\n"));
  CHECK_FALSE(parse_boot_offset("monotonic 1 1\n"));
}

TEST_CASE("a user's name is found by UID") {
  const char* const passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\nalice:x:1000:1000::/home/alice:/bin/sh";
  CHECK(parse_user_name(passwd, 0) == "root");
  CHECK(parse_user_name(passwd, 1000) == "alice");
  CHECK_FALSE(parse_user_name(passwd, 1));
  CHECK_FALSE(parse_user_name("", 0));
}

TEST_CASE("the kernel's name for a removed file has the path that it had") {
  CHECK(removed_path("/ws/app/.grex-lock (deleted)") == "/ws/app/.grex-lock");
  CHECK(removed_path("/ws/a (deleted)/.grex-lock (deleted)") == "/ws/a (deleted)/.grex-lock");
  // A file that had such a name.
  CHECK(removed_path("/ws/app/.grex-lock (deleted) (deleted)") == "/ws/app/.grex-lock (deleted)");
  CHECK(removed_path(" (deleted)") == "");
}

TEST_CASE("any other name is not that of a removed file") {
  for (const char* const name : {"", "/ws/app/.grex-lock", "/ws (deleted)/.grex-lock", "/ws/x(deleted)", "(deleted)",
                                 "/ws/x (deleted) ", "/ws/x (deleted", "pipe:[1]"}) {
    CAPTURE(name);
    CHECK_FALSE(removed_path(name));
  }
}
