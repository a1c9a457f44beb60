#include "core/lock/held_lock.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "sys/file/io.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

// Reads a lock file through its descriptor. If locks are mandatory (CIFS), only the one that
// has the lock can read; one that is only open for writing can't.
template <class Read>
std::optional<std::string> read_by(const sys::LockFile& file, const sys::LockFileName& name, Read read) {
  if (auto text = read(file.fd.get())) return text;
  const auto readable = sys::open_lock_file(name, sys::OpenFor::reading);
  return readable && readable->id == file.id ? read(readable->fd.get()) : std::nullopt;
}

// What a lock file contains, by read_by. Another process may be writing it.
std::optional<std::string> text_in(const sys::LockFile& file, const sys::LockFileName& name) {
  return read_by(file, name, [](int fd) { return sys::read_stable_start(fd, record_limit + 1); });
}

// Its first bytes, by read_by. No other process writes it.
std::optional<std::string> start_of(const sys::LockFile& file, const sys::LockFileName& name, std::size_t size) {
  return read_by(file, name, [size](int fd) {
    auto start = sys::read_start(fd, size);
    return start ? std::optional(std::move(*start)) : std::nullopt;
  });
}

struct Replaced {
  Content content = Content::other;
  std::size_t file_size = 0;
};

// What a record would replace. Other content may be that of a file to which the lock
// file's name is a hard link. nullopt if it has a second name.
std::optional<Replaced> find_replaced(const sys::LockFile& file, const sys::LockFileName& name) {
  // A second name may come and go at any moment, so this is checked again at the last one.
  const auto status = sys::status_if_only_name(file, name);
  if (!status) return std::nullopt;
  if (status->size == 0) return Replaced{Content::nothing, 0};
  if (status->size > record_limit) return Replaced{Content::other, status->size};
  const auto text = start_of(file, name, status->size);
  return Replaced{text ? classify(*text) : Content::other, status->size};
}

// Records are padded to a multiple of this, in bytes, so that most have the same size, and
// one replaces the other without truncating the file, which takes ten times as long.
constexpr std::size_t record_unit = 512;

// Fills up the line with blanks, which JSON allows, so that nothing of what is in the file
// stays behind it.
std::string padded(std::string line, std::size_t file_size) {
  const std::size_t covered = std::max(line.size(), file_size);
  const std::size_t size = (covered + record_unit - 1) / record_unit * record_unit;
  line.insert(line.size() - 1, size - line.size(), ' ');
  return line;
}

Result<void> put(const sys::LockFile& file, const std::string& text) {
  return file.appends ? sys::replace_content(file.fd.get(), text) : sys::overwrite_start(file.fd.get(), text);
}

// Whether a record is still there. The command may have unlocked the file that it inherited,
// and then the record is that of the next holder.
bool is_unreplaced(const HeldFile& held, const WrittenRecord& written) {
  return start_of(held.file, held.name, written.text.size()) == written.text;
}

// If a process that inherited the lock has unlocked it and another one has taken it, it isn't
// ours any more, and neither is the record, even if it is free again. A record that stays
// behind is shown as stale, so a failure does no harm.
Result<void> unlock_file(const HeldFile& held, sys::Mode mode, std::optional<int> exit_code) {
  const int fd = held.file.fd.get();
  if (held.record) {
    const auto still_ours = sys::try_lock(fd, mode);
    const bool is_held = still_ours && *still_ours == sys::Acquire::held;
    if (is_held && is_unreplaced(held, *held.record)) mark_released(held.file, *held.record, exit_code);
  }
  const auto unlocked = sys::unlock(fd);
  return unlocked ? unlocked : at_path(unlocked.error(), held.path);
}

}  // namespace

std::optional<Record> record_in(const sys::LockFile& file, const sys::LockFileName& name) {
  const auto text = text_in(file, name);
  return text ? parse_record(*text) : std::nullopt;
}

void empty_record(const sys::LockFile& file, const sys::LockFileName& name) {
  const auto replaced = find_replaced(file, name);
  if (replaced && replaced->content == Content::record) (void)sys::replace_content(file.fd.get(), {});
}

std::optional<WrittenRecord> written_record_in(const sys::LockFile& file, const sys::LockFileName& name) {
  auto text = text_in(file, name);
  auto record = text ? parse_record(*text) : std::nullopt;
  if (!record) return std::nullopt;
  std::string line = to_line(*record);
  return WrittenRecord{std::move(*record), std::move(line), std::move(*text)};
}

void mark_released(const sys::LockFile& file, const WrittenRecord& written, std::optional<int> exit_code) {
  Release release{utc_now(), {}, exit_code};
  const Record& record = written.record;
  const auto held = record.taken ? std::chrono::nanoseconds(boot_clock_now() - *record.taken)
                                 : std::chrono::nanoseconds(release.time - record.since);
  release.held = std::max(std::chrono::duration_cast<std::chrono::milliseconds>(held), {});
  (void)put(file, padded(released_line(written.line, release), written.text.size()));
}

Result<Recorded> write_record(HeldFile& held, Tier tier, Record record) {
  const sys::LockFile& file = held.file;
  if (file.read_only) return Recorded::read_only;
  const auto replaced = file.must_not_write ? std::nullopt : find_replaced(file, held.name);
  if (!replaced) return Recorded::second_name;
  if (replaced->content == Content::other) return Recorded::other_content;
  record.tier = tier;
  record.path = held.path;
  record.taken = held.taken;
  std::string line = to_line(record);
  std::string text = padded(line, replaced->file_size);
  if (auto written = put(file, text); !written) return at_path(written.error(), held.path);
  held.record = {std::move(record), std::move(line), std::move(text)};
  return replaced->content == Content::nothing ? Recorded::first_written : Recorded::written;
}

HeldLock& HeldLock::operator=(HeldLock&& other) noexcept {
  if (this == &other) return *this;
  release();
  tier_ = other.tier_;
  target_ = std::move(other.target_);
  mode_ = other.mode_;
  files_ = std::move(other.files_);
  restored_ = std::move(other.restored_);
  cluster_ = std::move(other.cluster_);
  return *this;
}

Result<Recorded> HeldLock::write_record(Record record) {
  if (mode_ == sys::Mode::shared || files_.empty()) return Recorded::none;
  return core::write_record(files_.back(), tier_, std::move(record));
}

void HeldLock::complete_record(const ProcessIdentity& writer) {
  if (files_.empty()) return;
  HeldFile& held = files_.back();
  if (!held.record || !is_unreplaced(held, *held.record)) return;
  WrittenRecord& written = *held.record;
  written.record.writer = writer;
  written.line = to_line(written.record);
  written.text = padded(written.line, written.text.size());
  (void)put(held.file, written.text);
}

Result<void> HeldLock::unlock(std::optional<int> exit_code) {
  Result<void> result;
  for (; !restored_.empty(); restored_.pop_back()) (void)unlock_file(restored_.back().file, mode_, exit_code);
  for (; !files_.empty(); files_.pop_back()) {
    const auto unlocked = unlock_file(files_.back(), mode_, exit_code);
    if (result && !unlocked) result = unlocked.error();
  }
  return result;
}

void HeldLock::abandon(std::optional<int> exit_code) {
  for (; !restored_.empty(); restored_.pop_back()) (void)unlock_file(restored_.back().file, mode_, exit_code);
  files_.clear();
}

TierStack HeldLock::stack_entries() const {
  TierStack entries;
  for (const HeldFile& held : files_) {
    entries.push_back({tier_, held.path, held.file.id, sys::own_pid(), mode_, held.taken, cluster_});
  }
  if (files_.empty() && cluster_) entries.push_back({tier_, {}, {}, sys::own_pid(), mode_, boot_clock_now(), cluster_});
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

std::vector<int> directories_of(const std::vector<HeldLock>& locks) {
  std::vector<int> fds;
  for (const HeldLock& lock : locks) {
    for (const HeldFile& held : lock.files()) {
      if (held.name.directory) fds.push_back(held.name.directory->fd.get());
    }
  }
  return fds;
}

void release_all(std::vector<HeldLock>& locks, std::optional<int> exit_code) {
  for (; !locks.empty(); locks.pop_back()) locks.back().release(exit_code);
}

}  // namespace grex::core
