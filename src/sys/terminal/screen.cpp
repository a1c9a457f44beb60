#include "sys/terminal/screen.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "sys/file/io.hpp"
#include "sys/lock/flock_wait.hpp"
#include "sys/signal/signals.hpp"
#include "sys/terminal/terminal.hpp"

namespace grex::sys {
namespace {

constexpr std::string_view other_screen = "\x1b[?1049h\x1b[?25l";  // and no cursor
constexpr std::string_view first_screen = "\x1b[?25h\x1b[?1049l";  // and a cursor
constexpr std::string_view to_start = "\x1b[H";
constexpr std::string_view clear_rest_of_line = "\x1b[K";
constexpr std::string_view clear_rest = "\x1b[J";

sigset_t only(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return set;
}

}  // namespace

Result<Screen> Screen::open() {
  sigset_t signals = heeded_signals();
  for (const int signal : {SIGWINCH, SIGCONT}) sigaddset(&signals, signal);
  for (const int signal : {SIGTSTP, SIGQUIT}) {
    if (!is_ignored(signal)) sigaddset(&signals, signal);
  }
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.is_open()) return Error{ErrorKind::system, "signalfd", {}, errno};
  sigset_t old;
  ::sigprocmask(SIG_BLOCK, &signals, &old);
  Screen screen(std::move(fd), old);
  screen.enter();
  return screen;
}

Screen::Screen(Screen&& other) noexcept
    : signals_(std::move(other.signals_)),
      old_mask_(other.old_mask_),
      old_keys_(std::exchange(other.old_keys_, std::nullopt)),
      reads_keys_(other.reads_keys_) {}

Screen::~Screen() {
  if (!signals_.is_open()) return;
  leave();
  ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
}

void Screen::enter() {
  termios keys{};
  if (!old_keys_ && ::tcgetattr(STDIN_FILENO, &keys) == 0) old_keys_ = keys;
  if (old_keys_) {
    keys = *old_keys_;  // again and again: whoever stopped us may have changed them
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
  }
  (void)write_all(STDOUT_FILENO, other_screen, signals_.get());
}

void Screen::leave() {
  // Also from the background, where a setting would stop us otherwise; and where
  // a Ctrl-S has stopped the terminal, which TCOON undoes only after a TCOOFF
  // (drivers/tty/tty_ioctl.c).
  const sigset_t background = only(SIGTTOU);
  sigset_t old;
  ::sigprocmask(SIG_BLOCK, &background, &old);
  ::tcflow(STDOUT_FILENO, TCOOFF);
  ::tcflow(STDOUT_FILENO, TCOON);
  (void)write_all(STDOUT_FILENO, first_screen);
  if (old_keys_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &*old_keys_);
  old_keys_.reset();
  ::sigprocmask(SIG_SETMASK, &old, nullptr);
}

int Screen::keys() const { return reads_keys_ && old_keys_ ? STDIN_FILENO : -1; }

bool Screen::has_news() const {
  std::array<pollfd, 2> news = {{{signals_.get(), POLLIN, 0}, {keys(), POLLIN, 0}}};
  return ::poll(news.data(), news.size(), 0) > 0;
}

void Screen::stop() {
  leave();
  const sigset_t stop_signal = only(SIGTSTP);
  (void)::raise(SIGTSTP);
  ::sigprocmask(SIG_UNBLOCK, &stop_signal, nullptr);  // here we are stopped, until SIGCONT
  ::sigprocmask(SIG_BLOCK, &stop_signal, nullptr);
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
  auto written = write_all(STDOUT_FILENO, drawn, signals_.get());
  const bool is_interrupted = !written && written.error().err == ECANCELED;  // pause() tells by what
  return is_interrupted ? Result<void>() : written;
}

std::optional<Screen::Event> Screen::next_signal() {
  signalfd_siginfo info{};
  if (::read(signals_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
  const int signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGTSTP) stop();
  if (signal == SIGCONT) enter();
  if (signal == SIGTSTP || signal == SIGCONT || signal == SIGWINCH) return Event{.kind = Event::Kind::changed};
  return Event{.kind = Event::Kind::signal, .signal = signal, .from_terminal = went_to_group(signal, info.ssi_code)};
}

std::optional<Screen::Event> Screen::next_key() {
  char key = 0;
  const ssize_t n = ::read(STDIN_FILENO, &key, 1);
  if (n == 1) return Event{.kind = Event::Kind::key, .key = key};
  if (n == 0 || errno != EINTR) reads_keys_ = false;  // nobody is there to type
  return std::nullopt;
}

Screen::Event Screen::pause(std::chrono::nanoseconds time) {
  const Deadline end = std::chrono::steady_clock::now() + time;
  for (;;) {
    std::array<pollfd, 2> news = {{{signals_.get(), POLLIN, 0}, {keys(), POLLIN, 0}}};
    const int count = ::poll(news.data(), news.size(), milliseconds_left(end));
    if (count == 0) return {};
    std::optional<Event> event;
    if (news[0].revents != 0) event = next_signal();
    if (!event && news[1].revents != 0) event = next_key();
    if (event) return *event;
  }
}

}  // namespace grex::sys
