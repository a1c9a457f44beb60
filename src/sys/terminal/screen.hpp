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

/// The alternate screen of the terminal on standard output, for a live view. The
/// terminal shows its former content again when this is destroyed, or stopped by
/// Ctrl-Z. Keys are read from standard input if that is a terminal. While this lives,
/// signals are blocked, and pause() reads them.
class Screen {
 public:
  /// Errors: system.
  static Result<Screen> open();
  Screen(Screen&& other) noexcept;
  Screen& operator=(Screen&&) = delete;
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen();

  /// Replaces the content of the screen by as much of this text as fits; by less if a
  /// signal arrives while it is drawn. Errors: io.
  Result<void> show(std::string_view text) const;

  /// What ends a pause.
  struct Event {
    enum class Kind { elapsed, changed, key, signal };
    Kind kind = Kind::elapsed;  ///< `changed`: resized, or continued after a stop
    char key = 0;
    ReceivedSignal signal = {};  ///< a termination signal
  };
  /// Waits until something happens, but at most for `time`.
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
  /// Readable when a key was typed; -1 if keys are not read; borrowed.
  [[nodiscard]] int keys() const;

  std::unique_ptr<SignalBlock> block_;  // null in a Screen that was moved from
  SignalReader signals_;
  std::optional<termios> old_keys_;  // set while keys are read one by one
  bool reads_keys_ = true;
};

}  // namespace grex::sys
