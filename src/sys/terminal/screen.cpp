#include "sys/terminal/screen.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "base/deadline.hpp"
#include "sys/file/io.hpp"
#include "sys/signal/signals.hpp"
#include "sys/terminal/terminal.hpp"

namespace grex::sys {
namespace {

constexpr std::string_view alternate_screen = "\x1b[?1049h\x1b[?25l";  // without a cursor
constexpr std::string_view main_screen = "\x1b[?25h\x1b[?1049l";       // with a cursor
constexpr std::string_view to_start = "\x1b[H";
constexpr std::string_view clear_rest_of_line = "\x1b[K";
constexpr std::string_view clear_rest = "\x1b[J";

}  // namespace

Result<Screen> Screen::open() {
  sigset_t signals = unignored_signals();
  for (const int signal : {SIGWINCH, SIGCONT}) sigaddset(&signals, signal);
  if (!is_ignored(SIGTSTP)) sigaddset(&signals, SIGTSTP);
  auto reader = SignalReader::open(signals);
  if (!reader) return reader.error();
  Screen screen(std::move(*reader), signals);
  screen.enter();
  return screen;
}

Screen::Screen(SignalReader reader, const sigset_t& signals)
    : block_(std::make_unique<SignalBlock>(signals)), signals_(std::move(reader)) {}

Screen::Screen(Screen&& other) noexcept
    : block_(std::move(other.block_)),
      signals_(std::move(other.signals_)),
      old_keys_(std::exchange(other.old_keys_, std::nullopt)),
      reads_keys_(other.reads_keys_) {}

Screen::~Screen() {
  if (block_) leave();
}

void Screen::enter() {
  termios keys{};
  if (!old_keys_ && ::tcgetattr(STDIN_FILENO, &keys) == 0) old_keys_ = keys;
  if (old_keys_) {
    keys = *old_keys_;  // each time: the process that stopped us may have changed the settings
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
  }
  (void)write_all(STDOUT_FILENO, alternate_screen, {{}, {signals_.fd(), -1}});
}

void Screen::leave() {
  // In the background, tcsetattr(3) would stop us by SIGTTOU. TCOON restarts a terminal
  // that was stopped by Ctrl-S, but only after a TCOOFF (drivers/tty/tty_ioctl.c).
  const SignalBlock block(set_of({SIGTTOU}));
  ::tcflow(STDOUT_FILENO, TCOOFF);
  ::tcflow(STDOUT_FILENO, TCOON);
  (void)write_all(STDOUT_FILENO, main_screen);
  if (old_keys_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &*old_keys_);
  old_keys_.reset();
}

int Screen::keys() const { return reads_keys_ && old_keys_ ? STDIN_FILENO : -1; }

bool Screen::has_news() const {
  std::array<pollfd, 2> news = {{{signals_.fd(), POLLIN, 0}, {keys(), POLLIN, 0}}};
  return ::poll(news.data(), news.size(), 0) > 0;
}

void Screen::stop() {
  leave();
  stop_self();
  enter();
}

Result<void> Screen::show(std::string_view text) const {
  std::string drawn(to_start);
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  const std::size_t room = rows_of(STDOUT_FILENO);
  for (std::size_t row = 0; row < std::min(lines, room); ++row) {
    if (row > 0) drawn += "\r\n";
    const auto end = text.find('\n');
    drawn.append(text.substr(0, end)).append(clear_rest_of_line);
    text.remove_prefix(end + 1);
  }
  drawn += clear_rest;
  auto written = write_all(STDOUT_FILENO, drawn, {{}, {signals_.fd(), -1}});
  const bool is_interrupted = !written && written.error().err == ECANCELED;  // pause() reports it
  return is_interrupted ? Result<void>() : written;
}

std::optional<Screen::Event> Screen::next_signal() {
  const auto signal = signals_.next();
  if (!signal) return std::nullopt;
  const int number = signal->number;
  if (number == SIGTSTP) stop();
  if (number == SIGCONT) enter();
  if (number == SIGTSTP || number == SIGCONT || number == SIGWINCH) return Event{.kind = Event::Kind::changed};
  return Event{.kind = Event::Kind::signal, .signal = *signal};
}

std::optional<Screen::Event> Screen::next_key() {
  char key = 0;
  const ssize_t n = ::read(STDIN_FILENO, &key, 1);
  if (n == 1) return Event{.kind = Event::Kind::key, .key = key};
  if (n == 0 || errno != EINTR) reads_keys_ = false;  // no more keys can come
  return std::nullopt;
}

Screen::Event Screen::pause(std::chrono::nanoseconds time) {
  const Deadline end = std::chrono::steady_clock::now() + time;
  for (;;) {
    std::array<pollfd, 2> news = {{{signals_.fd(), POLLIN, 0}, {keys(), POLLIN, 0}}};
    const int count = ::poll(news.data(), news.size(), milliseconds_left(end));
    if (count == 0) return {};
    std::optional<Event> event;
    if (news[0].revents != 0) event = next_signal();
    if (!event && news[1].revents != 0) event = next_key();
    if (event) return *event;
  }
}

}  // namespace grex::sys
