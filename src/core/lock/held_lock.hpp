#pragma once

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

/// A lock that is held until it is released, abandoned or destroyed (which releases it).
class HeldLock {
 public:
  /// The lock has just been taken.
  HeldLock(sys::LockFile file, Tier tier, std::string path, sys::Mode mode)
      : file_(std::move(file)), tier_(tier), path_(std::move(path)), mode_(mode), taken_(boot_clock_now()) {}
  HeldLock(HeldLock&&) = default;
  HeldLock& operator=(HeldLock&& other) noexcept;
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;
  ~HeldLock() { release(); }

  /// Writes the record into the lock file. Returns false if the lock is shared, or the
  /// file must not be written or has other content. Errors: io.
  Result<bool> write_record(const Record& record);

  /// Takes over the record that another process wrote for this lock, so that unlock()
  /// empties it.
  void adopt_record() { has_record_ = true; }

  /// Empties the record and unlocks, for every process that inherited the lock. If that
  /// fails, our copy is closed anyway. Errors: those of flock(2).
  Result<void> unlock();

  /// The same, ignoring errors.
  void release() { (void)unlock(); }

  /// Closes only our copy: the lock stays while another process has it open.
  void abandon() { file_.fd.reset(); }

  /// Borrowed.
  [[nodiscard]] int fd() const { return file_.fd.get(); }
  [[nodiscard]] sys::FileId file() const { return file_.id; }
  [[nodiscard]] Tier tier() const { return tier_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] sys::Mode mode() const { return mode_; }
  /// Whether write_record() wrote the first record of an empty file.
  [[nodiscard]] bool has_first_record() const { return has_first_record_; }

  /// The entry for this lock in the tier stack of descendants.
  [[nodiscard]] StackEntry stack_entry() const;

 private:
  sys::LockFile file_;
  Tier tier_;
  std::string path_;
  sys::Mode mode_;
  std::uint64_t taken_;
  bool has_record_ = false;
  bool has_first_record_ = false;
};

/// Releases locks, the last one first.
void release_all(std::vector<HeldLock>& locks);

}  // namespace grex::core
