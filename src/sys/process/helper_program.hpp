#pragma once

#include <sys/types.h>

#include <span>
#include <string>

#include "base/result.hpp"

namespace grex::sys {

/// The number of the first descriptor that a helper gets.
inline constexpr int first_of_helper = 3;

/// Starts a program that works for this process, as a child in a session of its own: no signal
/// of a terminal reaches it. It gets `descriptors`, which are borrowed, as 3, 4, …, and no other;
/// 0, 1 and 2 are unusable. `envp` is its environment, and ends with a null pointer. All
/// signals have their default actions there. Errors: exec (with execve's
/// errno), system.
Result<pid_t> start_helper(const std::string& program, std::span<const int> descriptors, char* const* envp);

}  // namespace grex::sys
