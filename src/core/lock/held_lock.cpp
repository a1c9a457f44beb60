#include "core/lock/held_lock.hpp"

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

HeldLock& HeldLock::operator=(HeldLock&& other) noexcept {
  if (this == &other) return *this;
  release();
  file_ = std::move(other.file_);
  tier_ = other.tier_;
  path_ = std::move(other.path_);
  mode_ = other.mode_;
  taken_ = other.taken_;
  has_record_ = other.has_record_;
  has_first_record_ = other.has_first_record_;
  return *this;
}

Result<bool> HeldLock::write_record(const Record& record) {
  if (mode_ == sys::Mode::shared || file_.must_not_write) return false;
  const Content content = content_of(file_, path_);
  if (content == Content::other) return false;
  if (auto written = sys::replace_content(file_.fd.get(), to_line(record)); !written) {
    return at_path(written.error(), path_);
  }
  has_record_ = true;
  has_first_record_ = content == Content::none;
  return true;
}

Result<void> HeldLock::unlock() {
  if (!file_.fd.is_open()) return {};
  // If a process that inherited the lock has unlocked it and another one has taken it,
  // it isn't ours any more, and neither is the record. A record that stays behind is
  // shown as stale, so a failure does no harm.
  if (has_record_) {
    const auto still_ours = sys::try_lock(file_.fd.get(), mode_);
    if (still_ours && *still_ours == sys::Acquire::held) (void)sys::replace_content(file_.fd.get(), {});
  }
  auto unlocked = sys::unlock(file_.fd.get());
  file_.fd.reset();
  if (!unlocked) return at_path(unlocked.error(), path_);
  return {};
}

StackEntry HeldLock::stack_entry() const { return {tier_, path_, file_.id, sys::own_pid(), mode_, taken_}; }

void release_all(std::vector<HeldLock>& locks) {
  while (!locks.empty()) locks.pop_back();
}

}  // namespace grex::core
