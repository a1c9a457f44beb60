#pragma once

#include <signal.h>
#include <termios.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace grex::sys {

/// A terminal's other screen, on standard output, for a live view: what was on
/// the terminal before is back when this ends, or is stopped by Ctrl-Z. Keys are
/// read from standard input where that is a terminal. Meanwhile signals are held
/// back, until asked for.
class Screen {
 public:
  /// Errors: system.
  static Result<Screen> open();
  Screen(Screen&& other) noexcept;
  Screen& operator=(Screen&&) = delete;
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen();

  /// Replaces what is on it by so much of this text as there is room for; by less
  /// if a signal comes meanwhile. Errors: io.
  Result<void> show(std::string_view text) const;

  /// What ends a pause.
  struct Event {
    enum class Kind { elapsed, changed, key, signal };
    Kind kind = Kind::elapsed;  ///< `changed`: another size, or back from being stopped
    char key = 0;
    int signal = 0;              ///< SIGINT, SIGTERM, SIGHUP or SIGQUIT
    bool from_terminal = false;  ///< the kernel sent it, to the whole foreground group
  };
  /// Until something happens, or so long.
  Event pause(std::chrono::nanoseconds time);

  /// Whether something has happened by which a pause would end at once.
  [[nodiscard]] bool has_news() const;

 private:
  Screen(UniqueFd signals, const sigset_t& old_mask) : signals_(std::move(signals)), old_mask_(old_mask) {}
  void enter();
  void leave();
  void stop();
  std::optional<Event> next_signal();
  std::optional<Event> next_key();
  /// Readable when a key was typed; -1 where none are read; borrowed.
  [[nodiscard]] int keys() const;

  UniqueFd signals_;  // a signalfd; closed in what was moved from
  sigset_t old_mask_;
  std::optional<termios> old_keys_;  // while keys are read singly
  bool reads_keys_ = true;
};

}  // namespace grex::sys
