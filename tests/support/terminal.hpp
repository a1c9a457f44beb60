#pragma once

#include <sys/types.h>

#include <string>

#include "support/fd.hpp"
#include "support/process.hpp"

namespace grex::test {

/// A program on its own pseudo-terminal, as a person would run it: it leads a session,
/// and is in the foreground. A shell keeps no history.
class Terminal {
 public:
  explicit Terminal(const Words& argv, const Setup& setup = {});
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void type(const std::string& keys) const;

  /// Changes its size, for which the kernel sends SIGWINCH to the foreground.
  void resize(unsigned short rows, unsigned short columns) const;

  /// Waits for the text in the unread output, and consumes it; returns what came before
  /// it. Throws if the program ends first.
  std::string expect(const std::string& text);

  /// All output until the program and its terminal are gone.
  std::string rest();

  /// Closes the terminal, as a lost connection does.
  void hang_up() { master_.reset(); }

  /// Whether every process of the session but its leader is stopped.
  [[nodiscard]] bool all_but_leader_stopped() const;

  Ended wait();
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  Fd master_;
  std::string unread_;
  bool ended_ = false;
};

inline const std::string ctrl_c = "\x03";
inline const std::string ctrl_z = "\x1a";
inline const std::string ctrl_backslash = "\x1c";

}  // namespace grex::test
