#pragma once

#include <pthread.h>

#include <chrono>
#include <functional>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace grex::sys {

/// A thread beside the main one, with all signals blocked. The destructor asks the thread
/// to end, and waits until it has.
class WorkerThread {
 public:
  WorkerThread() = default;
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;
  ~WorkerThread();

  /// Starts the thread. `work` gets a descriptor, borrowed, that becomes readable when
  /// it must return, whatever else it is waiting for. Errors: system.
  Result<void> start(std::function<void(int stop)> work);

 private:
  static void* begin(void* self);

  std::function<void(int)> work_;
  UniqueFd stop_;  // an eventfd
  pthread_t thread_{};
};

/// Waits, but at most for `within`, until a worker thread must return. Returns whether
/// it must. `stop` is the thread's descriptor.
bool stop_requested(int stop, std::chrono::milliseconds within);

}  // namespace grex::sys
