#pragma once

#include <termios.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::sys {

/// A terminal's other screen, on standard output, for a live view: what the terminal
/// showed before is back when this ends, or is stopped by Ctrl-Z. Keys are read from
/// standard input if that is a terminal. While it lives, signals are blocked, and
/// read by pause().
class Screen {
 public:
  /// Errors: system.
  static Result<Screen> open();
  Screen(Screen&& other) noexcept;
  Screen& operator=(Screen&&) = delete;
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen();

  /// Replaces what is on it by as much of this text as there is room for; by less
  /// if a signal arrives while it is drawn. Errors: io.
  Result<void> show(std::string_view text) const;

  /// What ends a pause.
  struct Event {
    enum class Kind { elapsed, changed, key, signal };
    Kind kind = Kind::elapsed;  ///< `changed`: another size, or continued after a stop
    char key = 0;
    ReceivedSignal signal = {};  ///< SIGINT, SIGTERM, SIGHUP or SIGQUIT
  };
  /// Waits until something happens, or for at most that long.
  Event pause(std::chrono::nanoseconds time);

  /// Whether something has happened that would end a pause immediately.
  [[nodiscard]] bool has_news() const;

 private:
  Screen(SignalReader reader, const sigset_t& signals);
  void enter();
  void leave();
  void stop();
  std::optional<Event> next_signal();
  std::optional<Event> next_key();
  /// Readable when a key was typed; -1 if none are read; borrowed.
  [[nodiscard]] int keys() const;

  std::unique_ptr<SignalBlock> block_;  // none in a Screen that was moved from
  SignalReader signals_;
  std::optional<termios> old_keys_;  // while keys are read one by one
  bool reads_keys_ = true;
};

}  // namespace grex::sys
