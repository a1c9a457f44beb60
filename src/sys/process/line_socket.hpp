#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace grex::sys {

/// One end of a connected stream socket between two processes, on which each message is a line.
/// A descriptor can be sent with a line. Neither reading nor writing waits for the other process.
class LineSocket {
 public:
  /// `longest` limits the lines that are read, with their newline. SIGPIPE is never raised.
  LineSocket(UniqueFd fd, std::size_t longest) : fd_(std::move(fd)), longest_(longest) {}

  /// Two ends that are connected. Errors: system.
  static Result<std::pair<UniqueFd, UniqueFd>> connected_pair();

  /// What read() found.
  struct Input {
    std::vector<std::string> lines;     ///< without their newlines
    std::vector<UniqueFd> descriptors;  ///< close-on-exec
    bool has_ended = false;             ///< at the end of file, after an error, or after a line that is too long
  };

  /// Reads what has come by now. An unfinished line is kept for later.
  Input read();

  /// Sends a line, which ends with a newline, and a duplicate of the descriptor with its first
  /// byte. What can't be written now is kept until flush(); discarded if the other end is gone.
  void send(std::string line, int descriptor = -1);

  /// Writes as much as it can of what is kept.
  void flush();

  /// Whether something is kept.
  [[nodiscard]] bool has_unsent() const { return !unsent_.empty(); }

  /// Borrowed.
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  struct Outgoing {
    std::string bytes;
    UniqueFd descriptor;
  };

  /// Returns false at the end of file, or after an error.
  bool read_piece(Input& input, bool& found);
  void split(Input& input);

  UniqueFd fd_;
  std::size_t longest_;
  std::string unread_;
  std::deque<Outgoing> unsent_;
};

}  // namespace grex::sys
