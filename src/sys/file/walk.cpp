#include "sys/file/walk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "sys/file/file.hpp"

namespace grex::sys {
namespace {

bool is_directory(int directory, const dirent64& entry) {
  if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
  struct stat st;
  return ::fstatat(directory, entry.d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

class Walk {
 public:
  explicit Walk(const TreeVisitor& visitor) : visitor_(visitor) {}

  // Reads one directory, and leaves its subdirectories for next().
  Result<void> visit(const std::string& path) {
    const UniqueFd fd = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd.is_open()) return failed("open", path, errno);
    const auto status = status_of(fd.get());
    if (!status) return at_path(status.error(), path);
    if (device_ == 0) device_ = status->id.dev;
    if (status->id.dev != device_) return {};
    if (!visitor_.on_directory(path)) {
      left_.clear();
      return {};
    }
    for (;;) {
      const ssize_t size = ::getdents64(fd.get(), buffer_.data(), buffer_.size());
      if (size < 0) return failed("getdents64", path, errno);
      if (size == 0) return {};
      for (ssize_t at = 0; at < size;) {
        const auto* const entry = reinterpret_cast<const dirent64*>(buffer_.data() + at);
        visit(fd.get(), path, *entry);
        at += entry->d_reclen;
      }
    }
  }

  // The next directory to read; empty if none is left.
  std::string next() {
    if (left_.empty()) return {};
    std::string path = std::move(left_.back());
    left_.pop_back();
    return path;
  }

 private:
  static Error failed(std::string_view call, const std::string& path, int err) {
    return {kind_of_lookup(err), call, path, err};
  }

  void visit(int directory, const std::string& path, const dirent64& entry) {
    const std::string_view name = entry.d_name;
    if (name == "." || name == "..") return;
    if (!is_directory(directory, entry)) {
      visitor_.on_file(path, name);
    } else if (visitor_.enters(name)) {
      left_.push_back(path_in(path, name));
    }
  }

  const TreeVisitor& visitor_;
  std::uint64_t device_ = 0;  // of the first directory; no directory is on device 0
  std::vector<std::string> left_;
  alignas(dirent64) std::array<char, 32768> buffer_;
};

}  // namespace

Result<void> walk_tree(const std::string& directory, const TreeVisitor& visitor) {
  Walk walk(visitor);
  if (auto first = walk.visit(directory); !first) return first;
  for (std::string path = walk.next(); !path.empty(); path = walk.next()) {
    const auto visited = walk.visit(path);
    // A directory that was removed or replaced in the meantime needs no report.
    const bool is_gone = !visited && (visited.error().err == ENOENT || visited.error().err == ENOTDIR);
    if (!visited && !is_gone) visitor.on_unreadable(visited.error());
  }
  return {};
}

}  // namespace grex::sys
