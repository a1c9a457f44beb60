#include "cli/commands/status_find.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>

#include "base/exit_code.hpp"
#include "cli/report/output.hpp"
#include "core/lock/search_upwards.hpp"
#include "sys/file/file.hpp"

namespace grex::cli {
namespace {

constexpr std::size_t most_named = 3;  // in notes, one line each

// Shows the progress of a search on a terminal, once it has taken a second.
class Progress {
 public:
  explicit Progress(bool is_silent) : is_silent_(is_silent) {}
  ~Progress() {
    if (next_ != first_) standard_error().write(erase_line);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(std::size_t directories, std::size_t files) {
    const auto now = std::chrono::steady_clock::now();
    if (is_silent_ || now < next_ || !can_redraw_on_stderr()) return;
    next_ = now + std::chrono::seconds(1);
    standard_error().write(
        fmt::format("{}grex-lock: {} directories, {} lock files so far", erase_line, directories, files));
  }

 private:
  bool is_silent_;
  const std::chrono::steady_clock::time_point first_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  std::chrono::steady_clock::time_point next_ = first_;
};

// A missing permission takes precedence over other errors.
int worse_exit_code(const Error& error, int so_far) {
  if (error.kind == ErrorKind::permission) return exit_code::permission;
  if (so_far != 0) return so_far;
  return error.kind == ErrorKind::system ? exit_code::system : exit_code::io;
}

// The directories below a path on which other file systems are mounted.
void note_other_file_systems(const std::string& path, const std::vector<std::string>& directories, FoundLocks& found) {
  if (directories.empty()) return;
  found.is_complete = false;
  if (directories.size() > most_named) {
    found.notes.push_back(fmt::format("not searched: {} other file systems below {}", directories.size(), path));
    return;
  }
  for (const std::string& directory : directories) {
    found.notes.push_back(fmt::format("not searched: {}: another file system", directory));
  }
}

Result<void, Failure> find_below(const std::vector<std::string>& paths, const ViewContext& context, FoundLocks& found) {
  Progress progress(context.on_screen);
  std::vector<std::string> others;
  const core::SearchObserver observer = {
      .on_progress =
          [&](std::size_t directories, std::size_t files) {
            constexpr std::size_t report_every = 64;
            if (directories % report_every != 0) return true;
            progress.show(directories, files);
            return !context.should_stop();
          },
      .on_unreadable =
          [&](const Error& error) {
            const Failure failure = failure_from(error);
            found.notes.push_back(fmt::format("{}: {}: {}", failure.what, failure.path, failure.why));
            found.exit_code = worse_exit_code(error, found.exit_code);
            found.is_complete = false;
          },
      .on_other_file_system = [&](const std::string& directory) { others.push_back(directory); },
  };
  for (const std::string& path : paths) {
    others.clear();
    auto locks = core::locks_below(path, observer);
    if (!locks) return failure_from(locks.error());
    std::move(locks->begin(), locks->end(), std::back_inserter(found.locks));
    note_other_file_systems(path, others, found);
    if (auto directory = sys::open_directory(path)) found.below.push_back(std::move(directory->path));
  }
  return {};
}

// The lock files that must not be looked up.
void note_not_looked_up(FoundLocks& found) {
  std::vector<std::string> paths;
  for (const core::FoundLock& lock : found.locks) {
    for (const core::FoundFile& found_file : lock.files) {
      if (found_file.file.may_never_answer) paths.push_back(found_file.file.name.path());
    }
  }
  if (paths.empty()) return;
  found.is_complete = false;
  if (paths.size() > most_named) {
    found.notes.push_back(fmt::format("not looked at: {} lock files whose file systems may not answer", paths.size()));
    return;
  }
  for (const std::string& path : paths) {
    found.notes.push_back(fmt::format("not looked at: {}: its file system may not answer", path));
  }
}

FoundLocks find_in_use(const StopToken& should_stop) {
  core::LocksInUse in_use = core::locks_in_use(should_stop);
  FoundLocks found;
  found.locks = std::move(in_use.locks);
  found.unseen = {in_use.unnamed, in_use.unreachable, in_use.has_uninspected, in_use.may_lack_unnamed,
                  in_use.may_lack_namespaces};
  found.is_complete = found.unseen->empty();
  note_not_looked_up(found);
  return found;
}

}  // namespace

Result<FoundLocks, Failure> find_locks(const StatusScope& scope, const core::Layouts& layouts,
                                       const ViewContext& context) {
  if (scope.all) return find_in_use(context.should_stop);
  FoundLocks found;
  std::vector<std::string> paths = scope.paths;
  if (paths.empty()) {
    const core::SearchResult enclosing = core::find_enclosing_pack();
    paths = {enclosing.found.empty() ? "." : enclosing.found.front().access_path};
  }
  if (scope.recursive) {
    if (auto searched = find_below(paths, context, found); !searched) return searched.error();
    return found;
  }
  for (const std::string& path : paths) {
    auto locks = core::locks_of(path, layouts, scope.slots);
    if (!locks) return failure_from(locks.error());
    for (core::FoundLock& lock : *locks) {
      found.is_complete = found.is_complete && !lock.why_incomplete;
      found.locks.push_back(std::move(lock));
    }
  }
  found.paths = std::move(paths);
  return found;
}

}  // namespace grex::cli
