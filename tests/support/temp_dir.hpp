#pragma once

#include <string>
#include <utility>

namespace grex::test {

/// A fresh directory; the destructor removes it with all that is in it and beside it.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  /// Canonical.
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  /// Creates a directory in it, with missing parents; returns its path.
  std::string make(const std::string& name) const;

  /// Creates two directories. Returns first the one whose lock is taken first, which is a
  /// matter of inodes.
  [[nodiscard]] std::pair<std::string, std::string> make_two() const;

 private:
  std::string path_;
};

bool exists(const std::string& path);
std::string content_of(const std::string& path);
void write_file(const std::string& path, const std::string& content);

}  // namespace grex::test
