#pragma once

#include <filesystem>
#include <string>

#include "support/process.hpp"

namespace grex::test {

/// A process beside the tool that holds a lock on the file, as lock_as_grex takes it. What
/// the test itself holds is a lock of an ancestor of the tool.
class Stranger {
 public:
  explicit Stranger(const std::string& path) : process_(command(path)) { process_.line(); }

  /// Returns once the lock is free.
  void release() {
    process_.close_input();
    process_.wait();
  }

 private:
  static Words command(const std::string& path) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    return {"flock", path, "sh", "-c", "echo; read line"};
  }

  Process process_;
};

}  // namespace grex::test
