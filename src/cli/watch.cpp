#include "cli/watch.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <thread>

#include "base/exit_code.hpp"
#include "cli/output.hpp"
#include "cli/printable.hpp"
#include "core/time_text.hpp"
#include "sys/screen.hpp"

namespace grex::cli {
namespace {

using Kind = sys::Screen::Event::Kind;

std::string head(std::chrono::nanoseconds interval, std::size_t columns) {
  const auto pause = core::to_text(std::chrono::duration_cast<std::chrono::milliseconds>(interval));
  return cut_to(fmt::format("{}  every {}, q quits", core::to_text(core::utc_now()), pause), columns) + "\n\n";
}

// So many lines, the last of which tells of those that are left out.
std::string cut_lines_to(const std::string& text, std::size_t rows) {
  auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  if (lines <= rows) return text;
  std::size_t end = 0;
  for (std::size_t row = 1; row < rows; ++row) end = text.find('\n', end) + 1;
  return text.substr(0, end) + fmt::format("… {} lines more\n", lines - (rows - std::min<std::size_t>(rows, 1)));
}

bool quits(const sys::Screen::Event& event) {
  return event.kind == Kind::key && (event.key == 'q' || event.key == 'Q');
}

}  // namespace

Outcome watch_on_screen(std::chrono::nanoseconds interval, const Look& look) {
  auto first = look(1);
  if (auto* failure = std::get_if<Failure>(&first)) return failed(std::move(*failure));
  auto screen = sys::Screen::open();
  if (!screen) return failed(failure_from(screen.error()));
  for (;;) {
    const std::size_t columns = sys::Screen::columns();
    const auto seen = look(columns);
    const auto* failure = std::get_if<Failure>(&seen);
    const std::string text =
        head(interval, columns) + (failure != nullptr ? to_text(*failure) : std::get<std::string>(seen));
    if (auto shown = screen->show(cut_lines_to(text, sys::Screen::rows())); !shown)
      return failed(failure_from(shown.error()));
    const auto event = screen->pause(interval);
    if (quits(event)) return {};
    if (event.kind == Kind::signal) {
      return {.exit_code = exit_code::signal_base + event.signal,
              .interrupted_by_user = event.from_terminal && event.signal == SIGINT};
    }
  }
}

Outcome watch_in_lines(std::chrono::nanoseconds interval, const Look& look) {
  for (;;) {
    auto seen = look(std::nullopt);
    if (auto* failure = std::get_if<Failure>(&seen)) return failed(std::move(*failure));
    if (auto printed = print(std::get<std::string>(seen)); printed.failure) return printed;
    std::this_thread::sleep_for(interval);
  }
}

}  // namespace grex::cli
