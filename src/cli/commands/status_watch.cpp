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

std::string head(std::chrono::nanoseconds interval) {
  const auto pause = core::to_text(std::chrono::duration_cast<std::chrono::milliseconds>(interval));
  const std::string text = fmt::format("{}  every {}, q quits", core::to_text(core::utc_now()), pause);
  return cut_to(text, sys::columns_of(STDOUT_FILENO)) + "\n\n";
}

// As many lines as the screen has, the last of which tells of those left out.
std::string fitting(const std::string& text) {
  const std::size_t rows = sys::rows_of(STDOUT_FILENO);
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  if (lines <= rows) return text;
  std::size_t end = 0;
  for (std::size_t row = 1; row < rows; ++row) end = text.find('\n', end) + 1;
  const std::string rest = fmt::format("… {} lines more", lines + 1 - rows);
  return text.substr(0, end) + cut_to(rest, sys::columns_of(STDOUT_FILENO)) + "\n";
}

bool quits(const sys::Screen::Event& event) {
  return event.kind == Kind::key && (event.key == 'q' || event.key == 'Q');
}

}  // namespace

Outcome watch_on_screen(std::chrono::nanoseconds interval, const Look& look) {
  auto seen = look({.columns = sys::columns_of(STDOUT_FILENO)});
  if (auto* failure = std::get_if<Failure>(&seen)) return failed(std::move(*failure));
  auto screen = sys::Screen::open();
  if (!screen) return failed(failure_from(screen.error()));
  for (;;) {
    const auto* failure = std::get_if<Failure>(&seen);
    const std::string text = head(interval) + (failure != nullptr ? to_text(*failure) : std::get<std::string>(seen));
    if (auto shown = screen->show(fitting(text)); !shown) {
      return failed(failure_from(at_path(shown.error(), "standard output")));
    }
    const auto event = screen->pause(interval);
    if (quits(event)) return {};
    if (event.kind == Kind::signal) {
      return {.exit_code = exit_code::signal_base + event.signal,
              .interrupted_by_user = event.from_terminal && event.signal == SIGINT};
    }
    auto next = look({sys::columns_of(STDOUT_FILENO), true, [&screen] { return screen->has_news(); }});
    if (!screen->has_news()) seen = std::move(next);  // else it may be half of one
  }
}

Outcome watch_in_lines(std::chrono::nanoseconds interval, const Look& look) {
  for (;;) {
    auto seen = look({});
    if (auto* failure = std::get_if<Failure>(&seen)) return failed(std::move(*failure));
    if (auto printed = print(std::get<std::string>(seen)); printed.failure) return printed;
    std::this_thread::sleep_for(interval);
  }
}

}  // namespace grex::cli
