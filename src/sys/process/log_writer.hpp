#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "sys/file/io.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::sys {

/// Appends lines to a log file (append_to_log) in a thread, because opening or writing a file
/// may take forever. The thread runs while there are lines to write, and has its own
/// descriptors: it keeps none of this process open, and closes none. May be used by several
/// threads.
class LogWriter {
 public:
  /// `path` is absolute. Opens nothing.
  explicit LogWriter(std::string path);
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  ~LogWriter();

  /// Takes over a line, which ends with a newline. Returns false if with it more than 64 KiB
  /// would be kept; but however long it is, it is accepted if nothing else is kept.
  bool write(std::string line);

  /// Waits until every line has been written, or has failed. If one of `ends` happens first,
  /// what is left is discarded, and so is what is written later: the file does not answer.
  void finish(const WriteEnds& ends);

  /// The first Error, once.
  std::optional<Error> take_error();

 private:
  struct Shared;
  void start_thread();
  [[nodiscard]] bool is_done_within(const WriteEnds& ends) const;

  std::shared_ptr<Shared> shared_;      // with the thread
  std::optional<WorkerThread> thread_;  // the last one
};

}  // namespace grex::sys
