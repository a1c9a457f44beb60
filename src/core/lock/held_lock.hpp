#pragma once

#include <cstddef>
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
/// descriptor is read by its name.
std::optional<Record> record_in(const sys::LockFile& file, const sys::LockFileName& name);

/// Empties a lock file, open for writing, if it has a record and no other name.
void empty_record(const sys::LockFile& file, const sys::LockFileName& name);

/// A record in a lock file that this process has locked.
struct WrittenRecord {
  Record record;
  std::string line;
  std::string text;  ///< what the file contains
};

/// The record in a locked file, as record_in.
std::optional<WrittenRecord> written_record_in(const sys::LockFile& file, const sys::LockFileName& name);

/// Marks it as released now. `exit_code` is that of what ran under the lock.
void mark_released(const sys::LockFile& file, const WrittenRecord& written, std::optional<int> exit_code);

/// What became of a record.
enum class Recorded {
  written,
  first_written,  ///< the file was empty
  none,           ///< a shared lock has none, and what only a cluster keeps
  read_only,
  second_name,    ///< so the file may be another one
  other_content,  ///< which must not be replaced
};

/// A locked file of a lock. Its lock lasts as long as a process has the descriptor open.
struct HeldFile {
  sys::LockFile file;
  std::string path;
  sys::LockFileName name = path;             ///< by which it is looked up
  std::uint64_t taken = boot_clock_now();    ///< as in StackEntry
  std::optional<WrittenRecord> record = {};  ///< that in the file, if it is ours
};

/// Writes a record into a file that is locked exclusively, in place; sets its `tier`, `path`
/// and `taken`. Errors: io.
Result<Recorded> write_record(HeldFile& held, Tier tier, Record record);

/// A file that was created and locked again, because its name no longer led to the file at
/// `index` of a lock. No process inherits it.
struct RestoredFile {
  std::size_t index = 0;
  HeldFile file;
};

/// A lock that is held until it is released, abandoned or destroyed (which releases it): its files,
/// and what a cluster keeps of it, or one of these. All that a cluster keeps for this process ends
/// together, elsewhere: see RemoteLocks.
class HeldLock {
 public:
  /// The lock has just been taken. `files` are in the order of taking them; `target` is the
  /// canonical path of what it guards, empty if unknown.
  HeldLock(Tier tier, std::string target, sys::Mode mode, std::vector<HeldFile> files,
           std::optional<ClusterEntry> cluster = {})
      : tier_(tier), target_(std::move(target)), mode_(mode), files_(std::move(files)), cluster_(std::move(cluster)) {}
  HeldLock(HeldLock&&) = default;
  HeldLock& operator=(HeldLock&& other) noexcept;
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;
  ~HeldLock() { release(); }

  /// Writes the record into the last file, if the lock is exclusive and has one; see
  /// core::write_record.
  Result<Recorded> write_record(Record record);

  /// Writes it again, with what is known of the writer by now, unless another holder has
  /// replaced it.
  void complete_record(const ProcessIdentity& writer);

  /// Takes over the record that another process wrote for this lock, so that unlock()
  /// marks it as released.
  void adopt_record(WrittenRecord record) { files_.back().record = std::move(record); }

  /// Keeps a restored file with the lock, until that is released or abandoned.
  void add_restored(RestoredFile restored) { restored_.push_back(std::move(restored)); }

  /// Marks the record as released, unless another holder has replaced it, and unlocks, for
  /// every process that inherited the lock. If that fails, our copies are closed anyway.
  /// `exit_code` is that of what ran under the lock. Errors: those of flock(2).
  Result<void> unlock(std::optional<int> exit_code = {});

  /// The same, ignoring errors.
  void release(std::optional<int> exit_code = {}) { (void)unlock(exit_code); }

  /// Closes only our copies: the lock stays while another process has them open. Releases
  /// restored files, which no other process has.
  void abandon(std::optional<int> exit_code = {});

  [[nodiscard]] Tier tier() const { return tier_; }
  [[nodiscard]] sys::Mode mode() const { return mode_; }
  [[nodiscard]] const std::string& target() const { return target_; }

  /// There is at least one, until the lock is released or abandoned, unless only a cluster keeps
  /// it.
  [[nodiscard]] const std::vector<HeldFile>& files() const { return files_; }
  [[nodiscard]] const std::optional<ClusterEntry>& cluster() const { return cluster_; }
  [[nodiscard]] const std::vector<RestoredFile>& restored() const { return restored_; }

  /// The path of its first file, or else its name in the cluster.
  [[nodiscard]] const std::string& path() const { return files_.empty() ? cluster_->name : files_.front().path; }

  /// The entries for this lock in the tier stack of descendants, one for each file.
  [[nodiscard]] TierStack stack_entries() const;

 private:
  Tier tier_;
  std::string target_;
  sys::Mode mode_;
  std::vector<HeldFile> files_;
  std::vector<RestoredFile> restored_;
  std::optional<ClusterEntry> cluster_;
};

/// The entries of all of them.
TierStack entries_of(const std::vector<HeldLock>& locks);

/// The descriptors of all files of locks; borrowed.
std::vector<int> descriptors_of(const std::vector<HeldLock>& locks);

/// Those of the directories by which their files are looked up; borrowed.
std::vector<int> directories_of(const std::vector<HeldLock>& locks);

/// Releases locks, the last one first. `exit_code` is that of what ran under them.
void release_all(std::vector<HeldLock>& locks, std::optional<int> exit_code);

}  // namespace grex::core
