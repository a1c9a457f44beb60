#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace grex::core {

/// Which cluster keeps the locks, and how.
struct ClusterSettings {
  std::string url;                     ///< as messages name it
  std::vector<std::string> endpoints;  ///< as in ClusterPlace
  std::string ns;                      ///< the namespace
  std::chrono::milliseconds lease{0};  ///< how long a lost machine keeps its locks
};

}  // namespace grex::core
