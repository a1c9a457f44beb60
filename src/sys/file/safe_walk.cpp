#include "sys/file/safe_walk.hpp"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/text.hpp"
#include "sys/file/file.hpp"
#include "sys/file/owner.hpp"

namespace grex::sys {
namespace {

constexpr int most_links = 40;  // as in the kernel (path_resolution(7))
constexpr int directory_flags = O_PATH | O_DIRECTORY;

// Where the walk has come to.
struct Step {
  UniqueFd fd;
  std::string path;  // empty: the working directory
  uid_t owner = 0;
  mode_t mode = 0;
};

std::string path_below(const Step& above, std::string_view name) {
  return above.path.empty() ? std::string(name) : path_in(above.path, name);
}

// A link there leads where the kernel says, whatever its text is.
bool is_on_procfs(int fd) {
  struct statfs fs;
  return ::fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

// What a walk requires of the directories that it passes.
enum class Rule { no_step_between_users, only_root_writes, only_we_write };

class SafeWalk {
 public:
  SafeWalk(const std::string& path, Rule rule) : path_(path), rule_(rule) {}

  Result<Step> start(std::string_view path) const {
    const bool is_absolute = path.starts_with('/');
    return opened(open_at(AT_FDCWD, is_absolute ? "/" : ".", directory_flags), is_absolute ? "/" : "");
  }

  // Follows the names one by one, and all links.
  Result<Step> follow(Step at, std::string_view names, IfMissing if_missing) {
    while (!names.empty()) {
      const std::string name(take_until(names, '/'));
      if (name.empty() || name == ".") continue;
      auto next = enter(at, name, if_missing);
      if (next && S_ISLNK(next->mode)) next = target_of(at, *next, name);
      if (!next) return next.error();
      at = std::move(*next);
    }
    return at;
  }

 private:
  [[nodiscard]] Error failed(std::string_view call, int err) const { return {kind_of_lookup(err), call, path_, err}; }

  // `fd` may have failed to open: then errno says why.
  Result<Step> opened(UniqueFd fd, std::string path) const {
    struct stat st;
    if (!fd.is_open() || ::fstat(fd.get(), &st) != 0) return failed("open", errno);
    if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) return failed("open", ENOTDIR);
    const bool is_ours = rule_ == Rule::only_we_write && st.st_uid == ::geteuid();
    const bool others_write = (is_other_user(st.st_uid) && !is_ours) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (rule_ != Rule::no_step_between_users && S_ISDIR(st.st_mode) && others_write) {
      return Error{ErrorKind::unsafe_file, writable_step, std::move(path), 0};
    }
    return Step{std::move(fd), std::move(path), st.st_uid, st.st_mode};
  }

  static Result<Step> checked(uid_t owner, Result<Step> next, const std::string& path) {
    if (!next || next->owner == owner || !is_other_user(owner)) return next;
    return Error{ErrorKind::unsafe_file, unsafe_step, path, 0};
  }

  // Opens a directory or a link below.
  Result<Step> enter(const Step& above, const std::string& name, IfMissing if_missing) const {
    const std::string path = path_below(above, name);
    // As a directory first, because only that mounts what autofs keeps there.
    UniqueFd fd = open_at(above.fd.get(), name, directory_flags | O_NOFOLLOW);
    if (!fd.is_open() && errno == ENOENT && if_missing == IfMissing::create) {
      if (auto created = create(above.fd.get(), name, path); !created) return created.error();
      fd = open_at(above.fd.get(), name, directory_flags | O_NOFOLLOW);
    }
    if (!fd.is_open() && errno == ENOTDIR) fd = open_at(above.fd.get(), name, O_PATH | O_NOFOLLOW);
    return checked(above.owner, opened(std::move(fd), path), path);
  }

  static Result<void> create(int above, const std::string& name, const std::string& path) {
    const Creation made = create_directory_in(above, name);
    if (made.result == 0) return {};
    const ErrorKind kind = made.err == ENOMEM ? ErrorKind::system : ErrorKind::create;
    return Error{kind, made.as_owner ? create_as_owner : "mkdir", path, made.err};
  }

  // Where a link in `above` leads. Its text may pass through directories of root, but what
  // it leads to must be its owner's.
  Result<Step> target_of(const Step& above, const Step& link, const std::string& name) {
    if (++links_ > most_links) return failed("open", ELOOP);
    if (is_on_procfs(link.fd.get())) {
      return checked(link.owner, opened(open_at(above.fd.get(), name, directory_flags), link.path), link.path);
    }
    std::array<char, PATH_MAX> buffer;
    const ssize_t size = ::readlinkat(link.fd.get(), "", buffer.data(), buffer.size());
    if (size < 0) return failed("readlink", errno);
    const std::string text(buffer.data(), static_cast<std::size_t>(size));
    auto base = text.starts_with('/') ? start(text) : opened(open_at(above.fd.get(), ".", directory_flags), above.path);
    if (!base) return base.error();
    return checked(link.owner, follow(std::move(*base), text, IfMissing::fail), link.path);
  }

  const std::string& path_;
  const Rule rule_;
  int links_ = 0;
};

Result<UniqueFd> walk_by(Rule rule, const std::string& path, IfMissing if_missing) {
  if (path.empty()) return Error{ErrorKind::not_found, "open", path, ENOENT};
  SafeWalk walk(path, rule);
  auto start = walk.start(path);
  if (!start) return start.error();
  auto end = walk.follow(std::move(*start), path, if_missing);
  if (!end) return end.error();
  return std::move(end->fd);
}

}  // namespace

Result<UniqueFd> walk_safely(const std::string& path, IfMissing if_missing) {
  return walk_by(Rule::no_step_between_users, path, if_missing);
}

Result<UniqueFd> walk_where_only_root_writes(const std::string& path) {
  return walk_by(Rule::only_root_writes, path, IfMissing::fail);
}

Result<UniqueFd> walk_where_only_we_write(const std::string& path) {
  return walk_by(Rule::only_we_write, path, IfMissing::fail);
}

}  // namespace grex::sys
