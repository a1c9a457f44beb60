#pragma once

#include <pthread.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/deadline.hpp"
#include "base/result.hpp"

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
  /// it must return, whatever else it is waiting for. An exception, such as that of no
  /// memory, ends only the thread. Errors: system.
  Result<void> start(std::function<void(int stop)> work);

  /// Asks the thread to end, and waits until it has, or else abandons it at the deadline;
  /// returns whether it has ended. An abandoned thread may run on until the process ends,
  /// so `work` must own all that it uses.
  bool end_by(std::optional<Deadline> deadline);

 private:
  struct Shared;
  static void* begin(void* shared);

  std::shared_ptr<Shared> shared_;  // with the thread; null if there is none
  pthread_t thread_{};
};

/// Waits, but at most for `within`, until a worker thread must return. Returns whether
/// it must. `stop` is the thread's descriptor.
bool stop_requested(int stop, std::chrono::milliseconds within);

/// The result of `work`, computed in another thread; nullopt if there is none within the
/// limit, or `work` throws there. For what may block in the kernel forever, such as reading
/// the arguments of a process. The thread is then abandoned, so `work` must own all that it
/// uses. If no thread can be started, `work` runs in this one.
template <class T>
std::optional<T> result_within(std::chrono::milliseconds limit, std::function<T()> work) {
  const auto result = std::make_shared<std::optional<T>>();
  WorkerThread thread;
  const auto started = thread.start([result, work](int) { *result = work(); });
  if (!started) return work();
  return thread.end_by(Deadline::clock::now() + limit) ? std::move(*result) : std::nullopt;
}

}  // namespace grex::sys
