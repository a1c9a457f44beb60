#include "sys/file/walk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace grex::sys {
namespace {

bool is_directory(int directory, const dirent64& entry) {
  if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
  const auto status = status_at(directory, entry.d_name);
  return status && status->type == FileType::directory;
}

bool is_on(const Place& place, const Place& top) {
  return place.device == top.device || (place.mount && place.mount == top.mount);
}

// Opens a directory below, unless it is in another mount. Not open in that case, on any error,
// and before Linux 5.6: openat2(2).
UniqueFd open_in_same_mount(int directory, const std::string& name, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_NO_XDEV;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, directory, name.c_str(), &how, sizeof how)));
}

Error failed(std::string_view call, const std::string& path, int err) { return {kind_of_lookup(err), call, path, err}; }

// Each directory is opened from the one above it, so a symlink that replaces one of them
// leads nowhere.
class Walk {
 public:
  explicit Walk(const TreeVisitor& visitor) : visitor_(visitor) {}

  Result<void> start(const Directory& top) {
    path_ = top.path;
    UniqueFd fd = open_at(top.fd.get(), ".", open_flags);
    if (!fd.is_open()) return failed("open", path_, errno);
    const auto place = place_of(fd.get());
    if (!place) return at_path(place.error(), path_);
    top_ = *place;
    top_size_ = path_.size();
    return visit(std::move(fd), top_size_);
  }

  // Visits the next directory; false if none is left.
  bool step() {
    if (levels_.empty()) return false;
    Level& level = levels_.back();
    path_.resize(level.path_size);
    if (level.left.empty() || !reopen(level)) {
      levels_.pop_back();
      return true;
    }
    const std::string name = std::move(level.left.back());
    level.left.pop_back();
    path_ = path_in(path_, name);
    if (const auto entered = enter(level.fd.get(), name); !entered) {
      // A directory that was removed or replaced in the meantime needs no report.
      const int err = entered.error().err;
      if (err != ENOENT && err != ENOTDIR && err != ELOOP) visitor_.on_unreadable(entered.error());
    }
    return true;
  }

 private:
  static constexpr int open_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  static constexpr std::size_t max_open = 64;

  // A directory with subdirectories that are left to visit.
  struct Level {
    std::size_t path_size = 0;  // its path is the beginning of path_
    UniqueFd fd;                // closed if there are many levels below
    FileId id;
    std::vector<std::string> left;
  };

  Result<void> enter(int above, const std::string& name) {
    if (path_.size() - top_size_ >= PATH_MAX) return failed("open", path_, ENAMETOOLONG);
    // What is in this mount is entered. Others are looked at first: opening a directory asks its
    // file system, which may never answer.
    UniqueFd fd = open_in_same_mount(above, name, open_flags);
    if (fd.is_open()) return visit(std::move(fd), path_.size());
    const auto seen = place_of(above, name);
    if (!seen) return at_path(seen.error(), path_);
    if (!may_enter(*seen)) return {};
    fd = open_at(above, name, open_flags);
    if (!fd.is_open()) return failed("open", path_, errno);
    const auto place = place_of(fd.get());
    if (!place) return at_path(place.error(), path_);
    const bool is_same = place->device == seen->device && place->mount == seen->mount;
    if (!is_same && !may_enter(*place)) return {};
    return visit(std::move(fd), path_.size());
  }

  [[nodiscard]] bool may_enter(const Place& place) const {
    return is_on(place, top_) || visitor_.enters_mount(path_, place, top_);
  }

  // Reads the directory at path_, and leaves its subdirectories for step().
  Result<void> visit(UniqueFd fd, std::size_t path_size) {
    if (!visitor_.on_directory(path_)) {
      levels_.clear();
      return {};
    }
    std::vector<std::string> found;
    auto is_read = read(fd.get(), found);
    if (found.empty()) return is_read;
    const auto status = status_of(fd.get());
    if (!status) return at_path(status.error(), path_);
    levels_.push_back({path_size, std::move(fd), status->id, std::move(found)});
    if (levels_.size() > max_open) levels_[levels_.size() - max_open].fd.reset();  // never the first
    return is_read;
  }

  Result<void> read(int fd, std::vector<std::string>& found) {
    for (;;) {
      const ssize_t size = ::getdents64(fd, buffer_.data(), buffer_.size());
      if (size < 0) return failed("getdents64", path_, errno);
      if (size == 0) return {};
      for (ssize_t at = 0; at < size;) {
        const auto* const entry = reinterpret_cast<const dirent64*>(buffer_.data() + at);
        const std::string_view name = entry->d_name;
        at += entry->d_reclen;
        if (name == "." || name == "..") continue;
        if (!is_directory(fd, *entry)) {
          visitor_.on_file(fd, path_, name);
        } else if (visitor_.enters(name)) {
          found.emplace_back(name);
        }
      }
    }
  }

  // Opens a level's directory again if it was closed; false if it is not in its place any
  // more.
  bool reopen(Level& level) {
    if (level.fd.is_open()) return true;
    std::string_view names = std::string_view(path_).substr(levels_.front().path_size);
    UniqueFd fd;
    while (!names.empty()) {
      const std::string_view name = take_until(names, '/');
      if (name.empty()) continue;
      const int above = fd.is_open() ? fd.get() : levels_.front().fd.get();
      fd = open_at(above, std::string(name), O_PATH | O_DIRECTORY | O_NOFOLLOW);
      if (!fd.is_open()) return false;
    }
    const auto status = status_of(fd.get());
    if (!status || status->id != level.id) return false;
    level.fd = std::move(fd);
    return true;
  }

  const TreeVisitor& visitor_;
  Place top_;
  std::string path_;
  std::size_t top_size_ = 0;
  std::vector<Level> levels_;
  alignas(dirent64) std::array<char, 32768> buffer_;
};

}  // namespace

Result<void> walk_tree(const Directory& top, const TreeVisitor& visitor) {
  Walk walk(visitor);
  if (auto started = walk.start(top); !started) return started;
  while (walk.step()) {
  }
  return {};
}

}  // namespace grex::sys
