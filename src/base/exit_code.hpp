#pragma once

#include <cerrno>

#include "base/error.hpp"

namespace grex {

/// Numbers from sysexits(3), with grex-lock's own meanings; 126 and 127 are those
/// of the shell.
namespace exit_code {
inline constexpr int ok = 0;
inline constexpr int usage = 64;
inline constexpr int stack = 65;
inline constexpr int not_found = 66;
inline constexpr int unreachable = 68;
inline constexpr int no_hold = 69;
inline constexpr int internal = 70;
inline constexpr int system = 71;
inline constexpr int create = 73;
inline constexpr int io = 74;
inline constexpr int busy = 75;
inline constexpr int tier_violation = 76;
inline constexpr int permission = 77;
inline constexpr int cluster_config = 78;
inline constexpr int lost = 79;
inline constexpr int cannot_execute = 126;
inline constexpr int command_not_found = 127;
inline constexpr int signal_base = 128;
}  // namespace exit_code

/// The documented exit status of a failure. `err` is its errno, which distinguishes
/// 126 from 127. For a cancelled wait, only the caller knows the N of 128+N.
constexpr int exit_code_of(ErrorKind kind, int err) {
  switch (kind) {
    case ErrorKind::usage:
      return exit_code::usage;
    case ErrorKind::stack:
      return exit_code::stack;
    case ErrorKind::not_found:
      return exit_code::not_found;
    case ErrorKind::not_held:
      return exit_code::no_hold;
    case ErrorKind::busy:
    case ErrorKind::timeout:
    case ErrorKind::reentry:
      return exit_code::busy;
    case ErrorKind::tier_violation:
      return exit_code::tier_violation;
    case ErrorKind::cancelled:
      return exit_code::signal_base;
    case ErrorKind::permission:
    case ErrorKind::unsafe_file:
      return exit_code::permission;
    case ErrorKind::create:
      return exit_code::create;
    case ErrorKind::io:
      return exit_code::io;
    case ErrorKind::system:
      return exit_code::system;
    case ErrorKind::exec:
      return err == ENOENT ? exit_code::command_not_found : exit_code::cannot_execute;
    case ErrorKind::lost:
      return exit_code::lost;
    case ErrorKind::unreachable:
      return exit_code::unreachable;
    case ErrorKind::cluster_config:
      return exit_code::cluster_config;
    case ErrorKind::internal:
      break;
  }
  return exit_code::internal;
}

}  // namespace grex
