#include "sys/process/log_writer.hpp"

#include <linux/close_range.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>

#include "base/unique_fd.hpp"
#include "sys/file/log_file.hpp"

namespace grex::sys {
namespace {

constexpr std::size_t most_waiting = 64UL * 1024;

// Gives this thread descriptors of its own, of which only one is open. Otherwise, while it
// is stuck, it would keep open what this process has closed, and later close what by then
// has its descriptor's number. Before Linux 5.9, it shares them.
void keep_only(int fd) {
  const auto kept = static_cast<unsigned>(fd);
  if (::syscall(SYS_close_range, kept + 1, ~0U, CLOSE_RANGE_UNSHARE) != 0) return;
  if (kept > 0) ::syscall(SYS_close_range, 0, kept - 1, 0);
}

// A file that answers gets this time even if one of the ends has happened already.
constexpr std::chrono::milliseconds time_to_answer(100);

}  // namespace

// What the thread knows. It may outlive the writer, if it was abandoned.
struct LogWriter::Shared {
  explicit Shared(std::string file) : path(std::move(file)) {}

  // In the thread.
  void run();
  // The next line; nullopt at the end of the thread.
  std::optional<std::string> next();
  // With the mutex.
  void keep(Error failed);
  void discard();

  const std::string path;
  mutable std::mutex mutex;  // guards all below
  std::deque<std::string> lines;
  std::size_t size = 0;       // of these, and of the one that is being written
  std::size_t in_flight = 0;  // of that one
  bool is_abandoned = false;
  std::optional<Error> error;
  bool has_failed = false;  // there was an error
  UniqueFd done;            // an eventfd: the thread is about to end
  bool has_thread = false;  // a thread runs that will write what is kept
};

void LogWriter::Shared::run() {
  const int ends = done.get();
  keep_only(ends);
  while (const auto line = next()) {
    const auto written = append_to_log(path, *line);
    if (written) continue;
    const std::lock_guard lock(mutex);
    keep(written.error());
  }
  ::eventfd_write(ends, 1);
}

std::optional<std::string> LogWriter::Shared::next() {
  const std::lock_guard lock(mutex);
  size -= std::exchange(in_flight, 0);
  has_thread = !lines.empty();
  if (!has_thread) return std::nullopt;
  std::string line = std::move(lines.front());
  lines.pop_front();
  in_flight = line.size();
  return line;
}

void LogWriter::Shared::keep(Error failed) {
  if (!std::exchange(has_failed, true)) error = std::move(failed);
}

void LogWriter::Shared::discard() {
  lines.clear();
  size = 0;
  in_flight = 0;
}

LogWriter::LogWriter(std::string path) : shared_(std::make_shared<Shared>(std::move(path))) {}

LogWriter::~LogWriter() { finish({Deadline::clock::now(), {-1, -1}}); }

bool LogWriter::write(std::string line) {
  const std::lock_guard lock(shared_->mutex);
  if (shared_->is_abandoned) return true;
  if (shared_->size > 0 && shared_->size + line.size() > most_waiting) return false;
  shared_->size += line.size();
  shared_->lines.push_back(std::move(line));
  if (!shared_->has_thread) start_thread();
  return true;
}

// With the mutex. Without a thread, the next write() tries again.
void LogWriter::start_thread() {
  if (!shared_->done.is_open()) shared_->done.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!shared_->done.is_open()) return shared_->keep({ErrorKind::system, "eventfd", shared_->path, errno});
  thread_.emplace();  // joins the last one, which needs the mutex no more
  eventfd_t stale = 0;
  ::eventfd_read(shared_->done.get(), &stale);
  const auto started = thread_->start([shared = shared_](int) { shared->run(); });
  shared_->has_thread = static_cast<bool>(started);
  if (!started) shared_->keep(at_path(started.error(), shared_->path));
}

bool LogWriter::is_done_within(const WriteEnds& ends) const {
  // poll(2) skips descriptors below 0.
  std::array<pollfd, 3> news = {
      {{shared_->done.get(), POLLIN, 0}, {ends.stops[0], POLLIN, 0}, {ends.stops[1], POLLIN, 0}}};
  while (::poll(news.data(), news.size(), milliseconds_left(ends.deadline)) < 0 && errno == EINTR) {
  }
  return news[0].revents != 0;
}

void LogWriter::finish(const WriteEnds& ends) {
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->is_abandoned || !shared_->done.is_open()) return;
    if (!shared_->has_thread && !shared_->lines.empty()) start_thread();
    if (!shared_->has_thread && !shared_->lines.empty()) return shared_->discard();
    if (!thread_) return;
  }
  const auto soon = earlier_of(ends.deadline, Deadline::clock::now() + time_to_answer);
  if (is_done_within({soon, {-1, -1}}) || is_done_within(ends)) {
    thread_.reset();
    shared_->done.reset();
    return;
  }
  const std::lock_guard lock(shared_->mutex);
  shared_->is_abandoned = true;
  shared_->discard();
  (void)shared_->done.release();  // the thread may still use it
  thread_->end_by(Deadline::clock::now());
}

std::optional<Error> LogWriter::take_error() {
  const std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->error, std::nullopt);
}

}  // namespace grex::sys
