#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/record.hpp"
#include "core/lock/tier.hpp"
#include "sys/lock/flock.hpp"
#include "sys/lock/lock_file.hpp"

namespace grex::core {

/// A locked file, and what is needed to look for it and to restore it: copies, for a thread
/// that may be abandoned.
struct WatchedFile {
  Tier tier = Tier::per_pack;
  sys::Mode mode = sys::Mode::exclusive;
  sys::LockFileName name;
  std::vector<sys::FileId> ids;       ///< it has been restored as each of these, and all are still locked
  std::optional<Record> record = {};  ///< what to write into the file if it is restored
};

/// What a file's name leads to. The name is looked up in the directory in which the file was
/// locked, whatever that directory is called by now.
enum class Whereabouts {
  in_place,   ///< the file; or that can't be known
  moved,      ///< the file, but the directory's path leads nowhere: it, or one above, was renamed
  removed,    ///< nothing
  replaced,   ///< something else
  elsewhere,  ///< whatever it leads to, the directory's path leads to another directory
};
std::string_view name_of(Whereabouts whereabouts);

/// Whether a look may take as long as a file system likes: in a thread that may be abandoned.
enum class MayBlock { no, yes };

/// Looks for a file, which may be any of these.
Whereabouts find(const sys::LockFileName& name, std::span<const sys::FileId> ids, MayBlock may_block);

/// How an attempt to restore a file ended.
struct Restoration {
  enum class Outcome {
    restored,  ///< locked again: this process created it, or a process that shares it
    relocked,  ///< another process created it, which may have had the lock; locked all the same
    busy,      ///< another process has it locked
    failed,    ///< it can't be created or locked
  };
  Outcome outcome = Outcome::failed;
  std::optional<HeldFile> file = {};  ///< if it is locked; with its record, if it got one
  bool is_new = false;                ///< this process created it
  std::string_view why = {};          ///< if it failed without an Error, a literal
  std::optional<Error> error = {};
  int tries = 0;  ///< how often it was locked; all but the last time, it had been replaced by then
};

/// Creates a lock file again that was `removed` or `replaced`, and tries to lock it. Never
/// creates a file in a directory that the path has come to name since, nor the path itself,
/// nor directories for lock files in a directory that has nothing else. Follows no symlink.
/// Locks it at most `max_tries` times.
Restoration restore(const WatchedFile& file, int max_tries, MayBlock may_block);

}  // namespace grex::core
