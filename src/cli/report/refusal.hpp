#pragma once

#include <string>

#include "base/error.hpp"

namespace grex::cli {

/// What is in the way of a file or directory, and what to do about it. Each may be empty.
struct Refusal {
  std::string what = {};  ///< instead of the words for the kind of error
  std::string why = {};   ///< instead of the description of errno
  std::string hint = {};
};

/// Explains an Error of kind not-found, unsafe-file, permission or create: looks at what
/// refused it, as it is now.
Refusal explain_refusal(const Error& error);

}  // namespace grex::cli
