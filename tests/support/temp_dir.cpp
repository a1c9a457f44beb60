#include "support/temp_dir.hpp"

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace grex::test {
namespace fs = std::filesystem;

TempDir::TempDir() {
  std::string pattern = (fs::canonical(fs::temp_directory_path()) / "grex-lock-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed: " + pattern);
  // Use a directory below it, so that what a test creates beside it is removed, too.
  fs::permissions(pattern, fs::perms(0711));
  path_ = pattern + "/dir";
  fs::create_directory(path_);
  fs::permissions(path_, fs::perms::owner_all);
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(fs::path(path_).parent_path(), ignored);
}

std::string TempDir::make(const std::string& name) const {
  fs::create_directories(path_ + "/" + name);
  return path_ + "/" + name;
}

std::pair<std::string, std::string> TempDir::make_two() const {
  std::pair<std::string, std::string> two = {make("a"), make("b")};
  const auto inode_of = [](const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 ? st.st_ino : 0;
  };
  if (inode_of(two.first) > inode_of(two.second)) std::swap(two.first, two.second);
  return two;
}

bool exists(const std::string& path) { return fs::symlink_status(path).type() != fs::file_type::not_found; }

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace grex::test
