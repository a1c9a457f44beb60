#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "sys/file/io.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::sys {

/// Writes to a descriptor without waiting for its reader. What can't be written
/// immediately is kept, and a thread writes it as soon as there is room. After an error,
/// for example if the reader is gone, what is kept is discarded. May be used by several
/// threads.
class BackgroundWriter {
 public:
  /// `fd` is borrowed.
  explicit BackgroundWriter(int fd) : fd_(fd) {}

  /// Writes or keeps all of the bytes. Returns false, and does neither, if with them more
  /// than 64 KiB would be kept; but however long they are, they are accepted if nothing
  /// else is kept.
  bool write(std::string_view bytes);

  /// Whether nothing is kept.
  [[nodiscard]] bool is_idle() const;

  /// Waits until everything has been written or one of `ends` has happened, and discards
  /// the rest. Afterwards, there is no thread until the next write().
  void finish(const WriteEnds& ends);

 private:
  void write_kept();
  void write_until(int stop);

  const int fd_;
  mutable std::mutex mutex_;  // guards all below
  std::string kept_;
  bool has_thread_ = false;             // a thread runs that will write what is kept
  std::optional<WorkerThread> thread_;  // the last member, so that it ends before the others are destroyed
};

}  // namespace grex::sys
