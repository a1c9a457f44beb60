#include "core/lock/held_lock.hpp"

#include <utility>

#include "sys/file/io.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

enum class Content { none, record, other };

// What a record would replace. Other content may be that of a file to which the lock
// file's name is a hard link.
Content content_of(const sys::LockFile& file, const std::string& path) {
  // A second name may come and go at any moment, so this is checked again at the last one.
  const auto status = sys::status_if_only_name(file, path);
  if (!status) return Content::other;
  if (status->size == 0) return Content::none;
  return record_in(file, path) ? Content::record : Content::other;
}

}  // namespace

std::optional<Record> record_in(const sys::LockFile& file, const std::string& path) {
  // If locks are mandatory (CIFS), only the descriptor that has the lock can read.
  auto text = sys::read_start(file.fd.get(), record_limit + 1);
  if (!text) {
    const auto readable = sys::open_lock_file(path, sys::OpenFor::reading);
    if (!readable || readable->id != file.id) return std::nullopt;
    text = sys::read_start(readable->fd.get(), record_limit + 1);
  }
  return text ? parse_record(*text) : std::nullopt;
}

void empty_record(const sys::LockFile& file, const std::string& path) {
  if (content_of(file, path) == Content::record) (void)sys::replace_content(file.fd.get(), {});
}

HeldLock& HeldLock::operator=(HeldLock&& other) noexcept {
  if (this == &other) return *this;
  release();
  tier_ = other.tier_;
  target_ = std::move(other.target_);
  mode_ = other.mode_;
  files_ = std::move(other.files_);
  has_record_ = other.has_record_;
  has_first_record_ = other.has_first_record_;
  return *this;
}

Result<bool> HeldLock::write_record(const Record& record) {
  const auto& [file, path, taken] = files_.back();
  if (mode_ == sys::Mode::shared || file.must_not_write) return false;
  const Content content = content_of(file, path);
  if (content == Content::other) return false;
  if (auto written = sys::replace_content(file.fd.get(), to_line(record)); !written) {
    return at_path(written.error(), path);
  }
  has_record_ = true;
  has_first_record_ = content == Content::none;
  return true;
}

Result<void> HeldLock::unlock() {
  Result<void> result;
  while (!files_.empty()) {
    const HeldFile held = std::move(files_.back());
    files_.pop_back();
    const int fd = held.file.fd.get();
    // If a process that inherited the lock has unlocked it and another one has taken it,
    // it isn't ours any more, and neither is the record. A record that stays behind is
    // shown as stale, so a failure does no harm.
    if (std::exchange(has_record_, false)) {
      const auto still_ours = sys::try_lock(fd, mode_);
      if (still_ours && *still_ours == sys::Acquire::held) (void)sys::replace_content(fd, {});
    }
    const auto unlocked = sys::unlock(fd);
    if (result && !unlocked) result = at_path(unlocked.error(), held.path);
  }
  return result;
}

TierStack HeldLock::stack_entries() const {
  TierStack entries;
  for (const HeldFile& held : files_) {
    entries.push_back({tier_, held.path, held.file.id, sys::own_pid(), mode_, held.taken});
  }
  return entries;
}

TierStack entries_of(const std::vector<HeldLock>& locks) {
  TierStack entries;
  for (const HeldLock& lock : locks) {
    for (StackEntry& entry : lock.stack_entries()) entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<int> descriptors_of(const std::vector<HeldLock>& locks) {
  std::vector<int> fds;
  for (const HeldLock& lock : locks) {
    for (const HeldFile& held : lock.files()) fds.push_back(held.file.fd.get());
  }
  return fds;
}

void release_all(std::vector<HeldLock>& locks) {
  while (!locks.empty()) locks.pop_back();
}

}  // namespace grex::core
