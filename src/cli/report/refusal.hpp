#pragma once

#include <string>

#include "base/error.hpp"

namespace grex::cli {

/// Whose permissions are in the way, and what to do about it. Each may be empty.
struct Refusal {
  std::string why;  ///< instead of the description of errno
  std::string hint;
};

/// Explains an Error of kind permission or create: looks at what refused it, as it is now.
Refusal explain_refusal(const Error& error);

}  // namespace grex::cli
