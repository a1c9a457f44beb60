#include "cli/locking/wait_progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/deadline.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "sys/terminal/terminal.hpp"

namespace grex::cli {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds first_delay(1);
constexpr std::chrono::seconds redraw_interval(1);
constexpr std::chrono::seconds line_interval(30);

// The line is redrawn every second, so tenths would only make it flicker.
std::string in_whole_seconds(std::chrono::milliseconds duration) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(duration);
  return seconds < std::chrono::minutes(1) ? fmt::format("{}s", seconds.count()) : format_duration(duration);
}

// For searches in the thread; `stop` is its descriptor.
StopToken stop_token(int stop) {
  return [stop] { return sys::stop_requested(stop, std::chrono::milliseconds(0)); };
}

bool has_changed(const core::QueuePosition& before, const core::QueuePosition& now) {
  return before.holders != now.holders || before.written != now.written;
}

}  // namespace

WaitProgress::WaitProgress(core::Queue queue, FindBusy find_busy, Announce announce, Line line)
    : queue_(std::move(queue)),
      find_busy_(std::move(find_busy)),
      announce_(std::move(announce)),
      line_(line),
      start_(steady_clock::now()) {
  // If no thread can be started, no line is shown, and the wait continues.
  thread_.emplace();
  (void)thread_->start([this](int stop) {
    if (announce_) this->announce(stop);
    if (line_ == Line::shown) report_until(stop);
  });
}

WaitProgress::~WaitProgress() {
  thread_.reset();
  if (announce_) announce_(find_busy_([] { return true; }));
}

void WaitProgress::announce(int stop) {
  const StopToken should_stop = stop_token(stop);
  if (line_ == Line::shown) position_ = core::read_queue_position(queue_, should_stop);
  busy_ = find_busy_(should_stop);
  std::exchange(announce_, nullptr)(busy_);
}

void WaitProgress::report_until(int stop) {
  std::chrono::seconds pause = first_delay;
  while (!sys::stop_requested(stop, pause)) {
    report(stop);
    pause = sys::is_terminal(STDERR_FILENO) ? redraw_interval : line_interval;
  }
  if (is_drawn_) standard_error().write(erase_line);
}

void WaitProgress::report(int stop) {
  const bool draws = can_redraw_on_stderr();
  const auto now = steady_clock::now();
  if (!draws && last_line_at_ && now - *last_line_at_ < line_interval) return;
  const StopToken should_stop = stop_token(stop);
  core::QueuePosition position = core::read_queue_position(queue_, should_stop);
  if (!position_ || has_changed(*position_, position)) busy_ = find_busy_(should_stop);
  if (should_stop()) return;
  position_ = std::move(position);
  std::string line;
  if (draws) {
    line = std::string(erase_line) + text_within(sys::columns_of(STDERR_FILENO) - 1);
  } else {
    line = text(printable(busy_.path), Detail::no_date) + "\n";
    last_line_at_ = now;
  }
  is_drawn_ = draws;
  // A reader that is slow gets the next line, which is newer.
  if (standard_error().is_idle()) standard_error().write(line);
}

std::string WaitProgress::text(const std::string& path, Detail detail) const {
  std::string text = fmt::format("grex-lock: waiting {} for {}", in_whole_seconds(elapsed_since(start_)), path);
  if (position_->waiters.value_or(0) > 0) text += fmt::format(", {} ahead", *position_->waiters);
  if (busy_.holders.empty()) return text + ": " + printable(busy_.why);
  return text + ": " + holder_line(busy_.holders, utc_now(), detail);
}

// In a narrow terminal, shows less of the holder, and only the end of the path, which
// says most.
std::string WaitProgress::text_within(std::size_t columns) const {
  constexpr std::size_t shortest_path = 20;
  const std::string path = printable(busy_.path);
  std::string whole = text(path, Detail::no_date);
  if (width_of(whole) <= columns) return whole;
  const std::size_t rest = width_of(text({}, Detail::brief));
  const std::size_t left = columns - std::min(columns, rest);
  return cut_to(text(cut_front_to(path, std::max(shortest_path, left)), Detail::brief), columns);
}

}  // namespace grex::cli
