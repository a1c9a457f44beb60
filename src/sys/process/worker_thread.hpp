#pragma once

#include <pthread.h>

#include <chrono>
#include <functional>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace grex::sys {

/// A thread beside the main one, which gets none of this process's signals.
/// Dropping this tells it to end, and waits until it has.
class SideThread {
 public:
  SideThread() = default;
  SideThread(const SideThread&) = delete;
  SideThread& operator=(const SideThread&) = delete;
  ~SideThread();

  /// Begins. `work` gets a descriptor, borrowed, that is readable once it is to
  /// return, however long it has been waiting for something else. Errors: system.
  Result<void> start(std::function<void(int over)> work);

 private:
  static void* begin(void* self);

  std::function<void(int)> work_;
  UniqueFd over_;  // an eventfd
  pthread_t thread_{};
};

/// Waits until the descriptor that a side thread was given says that it is to
/// return, but no longer than that.
bool is_over(int over, std::chrono::milliseconds within);

}  // namespace grex::sys
