#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/boot_clock.hpp"
#include "base/result.hpp"
#include "core/lock/record.hpp"
#include "core/lock/tier_stack.hpp"
#include "sys/lock/flock.hpp"

namespace grex::core {

/// The record in a lock file, if there is one. A file that can't be read through its
/// descriptor is read by its path.
std::optional<Record> record_in(const sys::LockFile& file, const std::string& path);

/// Empties a lock file, open for writing, if it has a record and no other name.
void empty_record(const sys::LockFile& file, const std::string& path);

/// A locked file of a lock. Its lock lasts as long as a process has the descriptor open.
struct HeldFile {
  sys::LockFile file;
  std::string path;
  std::uint64_t taken = boot_clock_now();  ///< as in StackEntry
};

/// A lock that is held until it is released, abandoned or destroyed (which releases it).
class HeldLock {
 public:
  /// The lock has just been taken. `files` are in the order of taking them; `target` is the
  /// canonical path of what it guards, empty if unknown.
  HeldLock(Tier tier, std::string target, sys::Mode mode, std::vector<HeldFile> files)
      : tier_(tier), target_(std::move(target)), mode_(mode), files_(std::move(files)) {}
  HeldLock(HeldLock&&) = default;
  HeldLock& operator=(HeldLock&& other) noexcept;
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;
  ~HeldLock() { release(); }

  /// Writes the record into the last file. Returns false if the lock is shared, or the file
  /// must not be written or has other content. Errors: io.
  Result<bool> write_record(const Record& record);

  /// Takes over the record that another process wrote for this lock, so that unlock()
  /// empties it.
  void adopt_record() { has_record_ = true; }

  /// Empties the record and unlocks, for every process that inherited the lock. If that
  /// fails, our copies are closed anyway. Errors: those of flock(2).
  Result<void> unlock();

  /// The same, ignoring errors.
  void release() { (void)unlock(); }

  /// Closes only our copies: the lock stays while another process has them open.
  void abandon() { files_.clear(); }

  [[nodiscard]] Tier tier() const { return tier_; }
  [[nodiscard]] sys::Mode mode() const { return mode_; }
  /// Whether write_record() wrote the first record of an empty file.
  [[nodiscard]] bool has_first_record() const { return has_first_record_; }
  [[nodiscard]] const std::string& target() const { return target_; }

  /// There is at least one, until the lock is released or abandoned.
  [[nodiscard]] const std::vector<HeldFile>& files() const { return files_; }

  /// The path of its first file.
  [[nodiscard]] const std::string& path() const { return files_.front().path; }

  /// The entries for this lock in the tier stack of descendants, one for each file.
  [[nodiscard]] TierStack stack_entries() const;

 private:
  Tier tier_;
  std::string target_;
  sys::Mode mode_;
  std::vector<HeldFile> files_;
  bool has_record_ = false;
  bool has_first_record_ = false;
};

/// The entries of all of them.
TierStack entries_of(const std::vector<HeldLock>& locks);

/// The descriptors of all files of locks; borrowed.
std::vector<int> descriptors_of(const std::vector<HeldLock>& locks);

/// Releases locks, the last one first.
void release_all(std::vector<HeldLock>& locks);

}  // namespace grex::core
