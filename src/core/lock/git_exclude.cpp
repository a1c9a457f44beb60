#include "core/lock/git_exclude.hpp"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <optional>

#include "base/text.hpp"
#include "core/lock/git_block.hpp"
#include "core/lock/git_directory.hpp"
#include "sys/file/file.hpp"
#include "sys/file/io.hpp"
#include "sys/file/no_follow.hpp"
#include "sys/file/owner.hpp"
#include "sys/lock/flock.hpp"

namespace grex::core {
namespace {

constexpr std::size_t longest_exclude = 1 << 20;  // bytes
constexpr int most_replacements = 10;
constexpr const char* exclude_name = "exclude";

Result<std::string> read_exclude(int fd) {
  auto content = sys::read_start(fd, longest_exclude + 1);
  if (content && content->size() > longest_exclude) return Error{ErrorKind::unsafe_file, "read", {}, EFBIG};
  return content;
}

// Most often, nothing needs to be written: then nothing is opened for writing, which would
// wake the processes that watch the file.
Result<bool> has_block(int info, sys::Owner owner) {
  const auto file = sys::open_file_no_follow(info, exclude_name, O_RDONLY, owner);
  if (!file && file.error().err == ENOENT) return false;
  if (!file) return file.error();
  const auto content = read_exclude(file->get());
  if (!content) return content.error();
  return !edit_to_add_block(*content);
}

// Whether the block was added; false if another process was faster.
Result<bool> add_block(int info) {
  for (int tries = 0; tries < most_replacements; ++tries) {
    const auto file = sys::open_file_no_follow(info, exclude_name, O_RDWR | O_CREAT, sys::Owner::effective_user);
    if (!file) return file.error();
    const auto locked = sys::try_lock_for(file->get(), sys::Mode::exclusive, std::chrono::milliseconds(100));
    if (!locked) return locked.error();
    if (*locked != sys::Acquire::held) return Error{ErrorKind::busy, "flock", {}, EWOULDBLOCK};
    const auto status = sys::status_of(file->get());
    if (!status) return status.error();
    const auto named = sys::status_at(info, exclude_name);
    if (!named) return named.error();
    if (named->id != status->id) continue;  // an editor has replaced it
    if (status->names != 1) return Error{ErrorKind::unsafe_file, "fstat", {}, EMLINK};
    const auto content = read_exclude(file->get());
    if (!content) return content.error();
    const auto edit = edit_to_add_block(*content);
    if (!edit) return false;
    const std::string_view before = std::string_view(*content).substr(edit->offset);
    if (auto written = sys::replace_end(file->get(), edit->offset, before, edit->rest); !written) {
      return written.error();
    }
    return true;
  }
  return Error{ErrorKind::busy, "open", {}, EBUSY};
}

// `git init` with a template of one's own makes no info/.
Result<UniqueFd> open_info(int directory) {
  auto info = sys::open_directory_no_follow(directory, "info", sys::Owner::effective_user);
  if (info || info.error().err != ENOENT) return info;
  const sys::Creation made = sys::create_directory_in(directory, "info");
  if (made.result != 0) return Error{ErrorKind::create, "mkdir", {}, made.err};
  return sys::open_directory_no_follow(directory, "info", sys::Owner::effective_user);
}

Result<bool> exclude_in(const GitDirectory& directory) {
  const auto failed = [&directory](const Error& error) {
    return at_path(error, path_in(directory.path, "info/exclude"));
  };
  const auto info = open_info(directory.fd.get());
  if (!info) return failed(info.error());
  const auto present = has_block(info->get(), sys::Owner::effective_user);
  if (!present) return failed(present.error());
  if (*present) return false;
  const auto added = add_block(info->get());
  if (!added) return failed(added.error());
  return *added;
}

// Whether the repository has the block already, if it belongs to another user, too.
bool has_block_above(const sys::LockFileName& lock_file) {
  const GitSearch search = find_git_directory(lock_file, sys::Owner::anyone);
  if (!search.directory || !*search.directory) return false;
  const int directory = (*search.directory)->fd.get();
  const auto info = sys::open_directory_no_follow(directory, "info", sys::Owner::anyone);
  const auto present = info ? has_block(info->get(), sys::Owner::anyone) : false;
  return present && *present;
}

}  // namespace

GitExclusion exclude_from_git(const sys::LockFileName& file) {
  const GitSearch search = find_git_directory(file, sys::Owner::effective_user);
  if (search.directory && !*search.directory) return {{}, false};
  auto added = search.directory ? exclude_in(**search.directory) : search.directory.error();
  const bool is_anothers = !added && added.error().op == sys::check_owner;
  if (is_anothers && has_block_above(file)) return {search.work_tree, false};
  return {search.work_tree, std::move(added)};
}

}  // namespace grex::core
