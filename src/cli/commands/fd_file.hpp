#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/report/failure.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/inspect/proc_locks.hpp"
#include "core/lock/layout.hpp"
#include "core/lock/tier_stack.hpp"
#include "sys/file/file.hpp"
#include "sys/lock/flock.hpp"

namespace grex::cli {

/// The file that the caller has open on a descriptor. `file` has a duplicate of that
/// descriptor, so its lock is the caller's.
struct FdFile {
  int number = 0;
  sys::LockFile file;
  LockName name;
  std::string path;                      ///< empty if unknown
  sys::LockFileName lookup_name;         ///< by which `path` is looked up
  sys::FileId directory;                 ///< of its path
  std::optional<core::LockPlace> place;  ///< none: not a file of grex, so its content must not be changed
  std::vector<core::TargetFile> others;  ///< the other files of its lock
};

/// `number` is an open descriptor; `tier` is that of a file whose name shows none; `layouts` are those that make up a
/// lock. Errors: unsafe-file, system, io.
Result<FdFile, Failure> find_fd_file(int number, core::Tier tier, const core::Layouts& layouts);

/// Sorts files in the order of taking them, as core::acquire does.
void sort_fd_files(std::vector<FdFile>& files);

/// The files of its lock, as far as they exist, that are taken before it.
std::vector<sys::FileId> files_before(const FdFile& file);

/// Removes the entries of this file.
void remove_entries(core::TierStack& stack, sys::FileId file);

/// The lock that the caller's descriptor already has. It may be taken again, also in the
/// other mode, whatever the stack says.
std::optional<core::KernelLock> lock_of(const FdFile& file);

/// The record that `fd` wrote into the file, and that isn't released: only `fd` releases it.
std::optional<core::WrittenRecord> fd_record_in(const FdFile& file);

/// A lock on a file that was removed or replaced excludes no process.
Result<void, Failure> refuse_replaced(const FdFile& file);

/// What a locked file doesn't exclude, if its lock has another file that the stack doesn't
/// list; empty if the lock is whole.
std::string half_lock_line(const FdFile& file, const core::TierStack& stack);

}  // namespace grex::cli
