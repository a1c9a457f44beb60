#include "core/lock/lost_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "core/lock/layout.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::core {
namespace {

using Outcome = Restoration::Outcome;

enum class PathLeads { to_directory, to_another, nowhere, not_known };

// Where a directory's path leads. If it is a symlink now, it may lead to the directory, and
// then another process that resolves it comes to the same lock file; but where it leads may
// not answer.
PathLeads look_up_path(const sys::Directory& directory, MayBlock may_block) {
  const auto judge = [&directory](const Result<sys::FileStatus>& status) {
    if (!status) return PathLeads::not_known;
    if (status->id == directory.id) return PathLeads::to_directory;
    return status->type == sys::FileType::directory ? PathLeads::to_another : PathLeads::nowhere;
  };
  const auto named = sys::status_of(directory.path);
  if (!named || named->type != sys::FileType::symlink) return judge(named);
  const auto follow = [path = directory.path] { return sys::status_of(path + "/."); };
  if (may_block == MayBlock::yes) return judge(follow());
  const auto followed = sys::result_within<Result<sys::FileStatus>>(std::chrono::milliseconds(100), follow);
  return followed ? judge(*followed) : PathLeads::not_known;
}

constexpr std::string_view nothing_left = "nothing else is left in its directory";

// An empty directory, or one that has only lock files, is probably being removed.
bool has_other_entries(int directory) {
  const auto names = sys::names_in(directory);
  return names && !std::all_of(names->begin(), names->end(),
                               [](const std::string& name) { return may_be_lock_file(lock_of_gate(name)); });
}

// Whether the directories for a lock file exist, or may be created.
bool may_have_directories(const sys::LockFileName& name) {
  const auto slash = name.name.find('/');
  if (slash == std::string::npos) return true;
  const int above = name.directory->fd.get();
  const auto first = sys::status_at(above, name.name.substr(0, slash));
  return first && (first->type != sys::FileType::absent || has_other_entries(above));
}

Restoration failed(std::string_view why) {
  Restoration restoration;
  restoration.why = why;
  return restoration;
}

Restoration failed(Error error) {
  Restoration restoration;
  restoration.error = std::move(error);
  return restoration;
}

Restoration locked(const WatchedFile& file, sys::LockFile opened) {
  Restoration restoration;
  restoration.outcome = Outcome::restored;
  restoration.is_new = opened.is_new;
  restoration.file = HeldFile{std::move(opened), file.name.path(), file.name};
  return restoration;
}

// Creates the file, or opens what is there, and tries its lock. What this process creates is
// locked before it has its name: otherwise another one could take the lock first, and even
// be done with it, and the file would look as if no one else had had it.
Restoration create_or_try(const WatchedFile& file) {
  const auto purpose = file.record ? sys::OpenFor::recording : sys::OpenFor::locking;
  const auto lock = [&file](int fd) {
    const auto tried = sys::try_lock(fd, file.mode);
    return tried && *tried == sys::Acquire::held;
  };
  auto created = sys::create_locked(file.name, purpose, lock);
  if (!created) return failed(created.error());
  if (*created) return locked(file, std::move(**created));
  const auto open = [&file](sys::OpenFor wanted) { return sys::open_lock_file(file.name, wanted); };
  auto opened = open(purpose);
  if (!opened) return failed(opened.error());
  const auto tried = sys::try_lock(*opened, file.mode, [&open] { return open(sys::OpenFor::recording); });
  if (!tried) return failed(at_path(tried.error(), file.name.path()));
  if (*tried == sys::Acquire::held) return locked(file, std::move(*opened));
  Restoration restoration;
  restoration.outcome = Outcome::busy;
  return restoration;
}

// Another process that creates a lock file takes its lock. But one that shares the lock may
// have restored the file; only an exclusive holder writes into it.
bool may_have_been_anothers(const WatchedFile& file, const Restoration& restoration) {
  const bool has_content = restoration.file->file.has_content;
  return !restoration.is_new && (file.mode == sys::Mode::exclusive || has_content);
}

}  // namespace

std::string_view name_of(Whereabouts whereabouts) {
  constexpr std::array<std::string_view, 5> names = {"in-place", "moved", "removed", "replaced", "elsewhere"};
  return names.at(static_cast<std::size_t>(whereabouts));
}

Whereabouts find(const sys::LockFileName& name, std::span<const sys::FileId> ids, MayBlock may_block) {
  const PathLeads leads = look_up_path(*name.directory, may_block);
  if (leads == PathLeads::to_another) return Whereabouts::elsewhere;
  const auto named = sys::look_up(name);
  // A loop of symlinks is an Error, too, but leads to no file.
  const bool is_known = named || named.error().kind == ErrorKind::not_found;
  if (!is_known) return Whereabouts::in_place;
  if (!named) return Whereabouts::replaced;
  const bool is_ours = std::find(ids.begin(), ids.end(), named->id) != ids.end();
  if (is_ours) return leads == PathLeads::nowhere ? Whereabouts::moved : Whereabouts::in_place;
  return named->type == sys::FileType::absent ? Whereabouts::removed : Whereabouts::replaced;
}

Restoration restore(const WatchedFile& file, int max_tries, MayBlock may_block) {
  const auto directory = sys::status_of(file.name.directory->fd.get());
  if (directory && directory->names == 0) return failed("its directory was removed, too");
  for (int tries = 1; tries <= max_tries; ++tries) {
    if (!may_have_directories(file.name)) return failed(nothing_left);
    Restoration restoration = create_or_try(file);
    restoration.tries = tries;
    if (!restoration.file) return restoration;
    // It may have been removed again before it was locked, or its directory replaced.
    const Whereabouts whereabouts = find(file.name, std::span(&restoration.file->file.id, 1), may_block);
    if (whereabouts == Whereabouts::elsewhere) return failed("its directory was replaced");
    if (whereabouts == Whereabouts::removed || whereabouts == Whereabouts::replaced) continue;
    if (may_have_been_anothers(file, restoration)) restoration.outcome = Outcome::relocked;
    if (file.record) (void)write_record(*restoration.file, file.tier, *file.record);
    return restoration;
  }
  return failed("it is removed repeatedly");
}

}  // namespace grex::core
