#include "cli/commands/status_watch.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/exit_code.hpp"
#include "base/time_text.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "sys/terminal/screen.hpp"
#include "sys/terminal/terminal.hpp"

namespace grex::cli {
namespace {

using Kind = sys::Screen::Event::Kind;

std::string header(std::chrono::nanoseconds interval) {
  const auto pause = format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(interval));
  const UtcTime now = utc_now();
  const std::string text = fmt::format("{}  every {}, q quits", format_local(now, now), pause);
  return cut_to(text, sys::columns_of(STDOUT_FILENO)) + "\n\n";
}

// Cuts the text to the rows of the screen; the last one counts the lines left out.
std::string cut_to_screen(const std::string& text) {
  const std::size_t rows = sys::rows_of(STDOUT_FILENO);
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  if (lines <= rows) return text;
  std::size_t end = 0;
  for (std::size_t row = 1; row < rows; ++row) end = text.find('\n', end) + 1;
  const std::string rest = fmt::format("… {} lines more", lines + 1 - rows);
  return text.substr(0, end) + cut_to(rest, sys::columns_of(STDOUT_FILENO)) + "\n";
}

bool is_quit_key(const sys::Screen::Event& event) {
  return event.kind == Kind::key && (event.key == 'q' || event.key == 'Q');
}

}  // namespace

Outcome watch_on_screen(std::chrono::nanoseconds interval, const Snapshot& snapshot) {
  auto seen = snapshot({.columns = sys::columns_of(STDOUT_FILENO)});
  if (!seen) return seen.error();
  auto screen = sys::Screen::open();
  if (!screen) return failure_from(screen.error());
  for (;;) {
    const std::string text = header(interval) + (seen ? *seen : to_text(seen.error()));
    if (auto shown = screen->show(cut_to_screen(text)); !shown) {
      return failure_from(at_path(shown.error(), "standard output"));
    }
    const auto event = screen->pause(interval);
    if (is_quit_key(event)) return ExitStatus{};
    if (event.kind == Kind::signal) {
      return ExitStatus{exit_code::signal_base + event.signal.number, sys::is_ctrl_c(event.signal)};
    }
    auto next = snapshot({sys::columns_of(STDOUT_FILENO), true, [&screen] { return screen->has_news(); }});
    if (!screen->has_news()) seen = std::move(next);  // otherwise, it may be incomplete
  }
}

Outcome watch_in_lines(std::chrono::nanoseconds interval, const Snapshot& snapshot) {
  for (;;) {
    const auto seen = snapshot({});
    if (!seen) return seen.error();
    if (auto printed = print(*seen); !printed) return printed;
    std::this_thread::sleep_for(interval);
  }
}

}  // namespace grex::cli
