#include "cli/locking/wait_progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/deadline.hpp"
#include "cli/report/holder_text.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "core/lock/layout.hpp"
#include "sys/process/proc.hpp"
#include "sys/terminal/terminal.hpp"

namespace grex::cli {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds first_delay(1);
constexpr std::chrono::seconds redraw_interval(1);
constexpr std::chrono::seconds line_interval(30);
constexpr std::chrono::seconds long_wait(10);

// The line is redrawn every second, so tenths would only make it flicker.
std::string in_whole_seconds(std::chrono::milliseconds duration) {
  return format_duration(std::chrono::floor<std::chrono::seconds>(duration));
}

// For searches in the thread; `stop` is its descriptor.
StopToken stop_token(int stop) {
  return [stop] { return sys::stop_requested(stop, std::chrono::milliseconds(0)); };
}

// Whether this process has got the lock while its holder was searched for.
bool is_ours(const Failure& busy) {
  return std::any_of(busy.holders.begin(), busy.holders.end(),
                     [](const core::LockProcess& holder) { return holder.pid == sys::own_pid(); });
}

bool has_note(const std::vector<core::LockProcess>& holders) {
  return std::any_of(holders.begin(), holders.end(),
                     [](const core::LockProcess& holder) { return holder.note && !holder.note->empty(); });
}

// The columns that a path takes at least: those of its file's name, if that is not too long.
std::size_t shortest_width(const std::string& path) {
  const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
  constexpr std::string_view mark = "…/";
  return std::clamp<std::size_t>(width_of(mark) + width_of(name), 16, 24);
}

bool has_changed(const core::QueuePosition& before, const core::QueuePosition& now) {
  return before.holders != now.holders || before.written != now.written || before.changes != now.changes;
}

}  // namespace

WaitedLock waited_lock(core::FileQueue queue) {
  const std::size_t slots = queue.files.size();
  return {slots, [queue = std::move(queue)](const StopToken& should_stop) {
            return core::read_queue_position(queue, should_stop);
          }};
}

// What the thread does and knows. It may outlive the wait, if it was abandoned; then it
// reports nothing more.
class WaitProgress::Reporter {
 public:
  Reporter(WaitedLock lock, Failure unknown, FindBusy find_busy, Announce announce, Line line)
      : lock_(std::move(lock)),
        unknown_(std::move(unknown)),
        find_busy_(std::move(find_busy)),
        announces_(static_cast<bool>(announce)),
        announce_(std::move(announce)),
        line_(line),
        start_(steady_clock::now()) {}

  // In the thread; `stop` is its descriptor.
  void run(int stop) {
    if (announces_) find_and_announce(stop);
    if (line_ == Line::shown) report_until(stop);
  }

  // In the main thread: what has not been announced, is, though the holder is not known.
  void end() {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
    if (!is_announced_) announce(unknown_);
  }

 private:
  void announce(const Failure& busy);
  void find_and_announce(int stop);
  void report_until(int stop);
  void report(int stop);
  void report_change();
  void write(std::string_view text);
  [[nodiscard]] std::string text(const std::string& path, Detail detail) const;
  [[nodiscard]] std::string text_within(std::size_t columns) const;
  [[nodiscard]] std::string drawn_line(std::size_t columns) const;
  [[nodiscard]] std::string hint_of_long_wait() const;

  const WaitedLock lock_;
  const Failure unknown_;
  const FindBusy find_busy_;
  const bool announces_;
  std::mutex mutex_;  // guards the next three, and whatever is reported
  Announce announce_;
  bool is_announced_ = false;
  bool has_ended_ = false;  // nothing may be reported any more
  const Line line_;
  const steady_clock::time_point start_;
  std::optional<core::QueuePosition> position_;  // as last read
  Failure busy_;                                 // as of the last change of holders
  std::optional<steady_clock::time_point> last_line_at_;
  bool is_drawn_ = false;
};

WaitProgress::WaitProgress(WaitedLock lock, Failure unknown, FindBusy find_busy, Announce announce, Line line)
    : reporter_(std::make_shared<Reporter>(std::move(lock), std::move(unknown), std::move(find_busy),
                                           std::move(announce), line)) {
  // If no thread can be started, no line is shown, and the wait continues.
  (void)thread_.start([reporter = reporter_](int stop) { reporter->run(stop); });
}

WaitProgress::~WaitProgress() {
  thread_.end_by(Deadline::clock::now() + std::chrono::seconds(1));
  reporter_->end();
}

void WaitProgress::Reporter::find_and_announce(int stop) {
  const StopToken should_stop = stop_token(stop);
  if (line_ == Line::shown) position_ = lock_.read_position(should_stop);
  busy_ = find_busy_(should_stop);
  if (is_ours(busy_)) return;  // the wait has ended, and end() announces it
  const std::lock_guard lock(mutex_);
  if (!has_ended_) announce(busy_);
}

// With the mutex. If that was announced already, it is a change.
void WaitProgress::Reporter::announce(const Failure& busy) {
  const News news = std::exchange(is_announced_, true) ? News::changed : News::found;
  if (announce_) announce_(busy, news);
}

void WaitProgress::Reporter::report_until(int stop) {
  std::chrono::seconds pause = first_delay;
  while (!sys::stop_requested(stop, pause)) {
    report(stop);
    pause = sys::is_terminal(STDERR_FILENO) ? redraw_interval : line_interval;
  }
  if (is_drawn_) write(erase_line);
}

void WaitProgress::Reporter::report(int stop) {
  const bool draws = can_redraw_on_stderr();
  const auto now = steady_clock::now();
  if (!draws && last_line_at_ && now - *last_line_at_ < line_interval) return;
  const StopToken should_stop = stop_token(stop);
  core::QueuePosition position = lock_.read_position(should_stop);
  const bool is_changed = !position_ || has_changed(*position_, position);
  if (is_changed) busy_ = find_busy_(should_stop);
  if (should_stop()) return;
  if (is_changed) report_change();
  position_ = std::move(position);
  std::string line;
  if (draws) {
    line = drawn_line(sys::columns_of(STDERR_FILENO) - 1);
  } else {
    line = text(printable(busy_.path), Detail::no_date);
    line += hint_of_long_wait();
    line += '\n';
    last_line_at_ = now;
  }
  is_drawn_ = draws;
  // A reader that is slow gets the next line, which is newer.
  if (standard_error().is_idle()) write(line);
}

void WaitProgress::Reporter::report_change() {
  if (busy_.holders.empty() || is_ours(busy_)) return;
  const std::lock_guard lock(mutex_);
  if (!has_ended_ && is_announced_) announce(busy_);
}

void WaitProgress::Reporter::write(std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (!has_ended_) standard_error().write(text);
}

std::string WaitProgress::Reporter::text(const std::string& path, Detail detail) const {
  std::string text = fmt::format("grex-lock: waiting {} for ", in_whole_seconds(elapsed_since(start_)));
  const std::size_t slots = busy_.tier == core::Tier::semaphore ? lock_.slots : 1;
  if (slots > 1) text += fmt::format("a slot ({0} of {0} in use){1}", slots, path.empty() ? "" : ": ");
  text += path;
  if (position_->waiters.value_or(0) > 0) text += fmt::format(", {} ahead", *position_->waiters);
  if (busy_.holders.empty()) return slots > 1 || busy_.why.empty() ? text : text + ": " + printable(busy_.why);
  const bool says_held = slots == 1 && (detail == Detail::all || detail == Detail::no_date);
  return text + (says_held ? ": held by " : ": ") + holder_text(busy_.holders, utc_now(), detail);
}

// In a narrow terminal, cuts the holder's command first, and then the front of the path, whose end
// says most; of one of several slots, the path says nothing. If the holder's note would be cut,
// shows the end of the directory instead of that of the lock file.
std::string WaitProgress::Reporter::text_within(std::size_t columns) const {
  constexpr std::size_t shortest_name = 8;
  constexpr std::size_t shortest_command = 16;
  constexpr std::size_t ellipsis = 1;  // for the command behind the note
  const auto left_beside = [columns](std::size_t width) { return columns - std::min(columns, width); };
  const std::string path = printable(busy_.path);
  std::string whole = text(path, Detail::no_date);
  if (width_of(whole) <= columns) return whole;
  const std::size_t head = width_of(text({}, Detail::no_command));
  const std::size_t left =
      std::max(left_beside(width_of(text({}, Detail::brief))), left_beside(head + shortest_command));
  const std::size_t shortest_path = shortest_width(path);
  const std::size_t left_by_note = left_beside(head + ellipsis);
  std::string shown = cut_front_to(path, std::max(shortest_path, left));
  if (busy_.tier == core::Tier::semaphore && lock_.slots > 1 && left < shortest_path) {
    shown.clear();
  } else if (has_note(busy_.holders) && width_of(shown) > left_by_note) {
    const auto place = core::lock_place_of(busy_.path);
    shown = cut_front_to(place ? printable(place->target) : path, std::max(shortest_name, left_by_note));
  }
  return cut_to(text(shown, Detail::brief), columns);
}

// After a long wait, a user asks what can be done about it.
std::string WaitProgress::Reporter::hint_of_long_wait() const {
  if (elapsed_since(start_) < long_wait) return {};
  return fmt::format(" (see {})", lock_.status_line);
}

std::string WaitProgress::Reporter::drawn_line(std::size_t columns) const {
  std::string line = text_within(columns);
  const std::string hint = hint_of_long_wait();
  if (width_of(line) + width_of(hint) <= columns) line += hint;
  return std::string(erase_line) + line;
}

}  // namespace grex::cli
