#include "cli/commands/fd_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <tuple>

#include "base/text.hpp"
#include "core/inspect/descriptor_locks.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/target.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

// The other files of the lock that has this one; none if they can't be found.
std::vector<core::TargetFile> find_others(const core::LockPlace& place, const std::string& path,
                                          const core::Layouts& layouts) {
  std::vector<core::TargetFile> others;
  if (!core::has_file_per_layout(place.tier)) return others;
  auto target = core::resolve({.tier = place.tier, .path = sys::access_path_of(place.target), .layouts = layouts});
  if (!target) return others;
  std::copy_if(std::make_move_iterator(target->files.begin()), std::make_move_iterator(target->files.end()),
               std::back_inserter(others), [&path](const core::TargetFile& file) { return file.path(0) != path; });
  return others;
}

// The name by which a path is looked up: if a directory on the way to it may not be
// searched, below the working directory, if that is on the way, too.
sys::LockFileName lookup_name_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos || sys::status_of(path)) return path;
  auto directory = sys::open_directory(sys::access_path_of(path.substr(0, slash + 1)));
  if (!directory) return path;
  return {std::make_shared<const sys::Directory>(std::move(*directory)), path.substr(slash + 1)};
}

// The directory that a file is in, by which it is sorted.
sys::FileId directory_of(const sys::LockFileName& name) {
  const auto directory = sys::open_directory_of(name);
  return directory ? directory->id : sys::FileId{};
}

auto order_key_of(const FdFile& file) {
  const core::Layout layout = file.place ? file.place->layout : core::Layout::flat;
  return std::tuple(core::ordinal_of(file.name.tier), layout, file.directory.ino, file.directory.dev,
                    std::string_view(file.path));
}

}  // namespace

Result<FdFile, Failure> find_fd_file(int number, core::Tier tier, const core::Layouts& layouts) {
  const sys::Access access = sys::access_of(number);
  const auto status = sys::status_of(number);
  if (!status) return failure_from(status.error());
  std::string path = sys::path_of(number);
  constexpr std::string_view no_name = " (deleted)";  // proc(5), /proc/PID/fd
  if (path.ends_with(no_name) && !sys::exists(path)) path.resize(path.size() - no_name.size());
  if (!path.starts_with('/')) path.clear();  // such as "(unreachable)…", or "pipe:[…]"
  const std::string shown = path.empty() ? fmt::format("descriptor {}", number) : path;
  if (status->type != sys::FileType::regular) {
    Failure failure = failure_from({ErrorKind::unsafe_file, "fstat", shown, 0});
    failure.hint = fmt::format("try: exec {}>>PATH/.grex-lock", number > STDERR_FILENO ? number : 9);
    return failure;
  }
  auto copy = sys::duplicate(number);
  if (!copy) return failure_from(copy.error());
  sys::LockFileName lookup_name = lookup_name_of(path);
  const sys::FileId directory = directory_of(lookup_name);
  const bool read_only = access == sys::Access::reading;
  const bool has_content = status->size > 0;
  FdFile file{.number = number,
              .file = {.fd = std::move(*copy),
                       .id = status->id,
                       .read_only = read_only,
                       .must_not_write = read_only || status->names > 1,
                       .changed = status->changed,
                       .has_content = has_content,
                       .is_new = !has_content,  // the shell may have created it
                       .appends = sys::appends(number)},
              .name = {core::tier_of_lock_file(path).value_or(tier), shown},
              .path = path,
              .lookup_name = std::move(lookup_name),
              .directory = directory,
              .place = {},
              .others = {}};
  if (core::tier_of_lock_file(path)) {
    file.place = core::lock_place_of(path);
    file.name.target = file.place->target;
    file.others = find_others(*file.place, path, layouts);
  }
  return file;
}

void sort_fd_files(std::vector<FdFile>& files) {
  std::stable_sort(files.begin(), files.end(),
                   [](const FdFile& a, const FdFile& b) { return order_key_of(a) < order_key_of(b); });
}

std::vector<sys::FileId> files_before(const FdFile& file) {
  std::vector<sys::FileId> ids;
  for (const core::TargetFile& other : file.others) {
    const auto status = sys::status_of_lock_file(other.name_at(0));
    if (other.layout < file.place->layout && status) ids.push_back(status->id);
  }
  return ids;
}

void remove_entries(core::TierStack& stack, sys::FileId file) {
  std::erase_if(stack, [file](const core::StackEntry& entry) { return entry.file == file; });
}

std::optional<core::KernelLock> lock_of(const FdFile& file) {
  const auto locks = core::locks_on({sys::own_process, file.number, {}});
  return !locks || locks->empty() ? std::nullopt : std::optional(locks->front());
}

std::optional<core::WrittenRecord> fd_record_in(const FdFile& file) {
  if (!file.place || file.file.must_not_write) return std::nullopt;
  auto written = core::written_record_in(file.file, file.lookup_name);
  if (!written || written->record.verb != "fd" || written->record.release) return std::nullopt;
  return written;
}

Result<void, Failure> refuse_replaced(const FdFile& file) {
  if (file.path.empty()) return {};
  const auto named = sys::look_up(file.lookup_name);
  if (!named || named->id == file.file.id) return {};
  Failure failure = failure_from({ErrorKind::unsafe_file, "stat", file.name.path, 0}, file.name.tier);
  failure.why = "the file was removed or replaced since it was opened";
  failure.hint = fmt::format("open it again: exec {}>>FILE", file.number);
  return failure;
}

std::string half_lock_line(const FdFile& file, const core::TierStack& stack) {
  for (const core::TargetFile& other : file.others) {
    const sys::LockFileName name = other.name_at(0);
    const auto status = sys::status_of_lock_file(name);
    const auto is_it = [&status](const core::StackEntry& entry) { return status && entry.file == status->id; };
    if (std::any_of(stack.begin(), stack.end(), is_it)) continue;
    return fmt::format("locked only {}: grex {} are not excluded; lock {}, too", file.path,
                       core::releases_of(other.layout), name.path());
  }
  return {};
}

}  // namespace grex::cli
