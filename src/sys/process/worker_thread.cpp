#include "sys/process/worker_thread.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <utility>

#include "base/deadline.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::sys {

Result<void> WorkerThread::start(std::function<void(int)> work) {
  work_ = std::move(work);
  stop_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!stop_.is_open()) return Error{ErrorKind::system, "eventfd", {}, errno};
  sigset_t all;
  sigfillset(&all);
  const SignalBlock inherited_by_thread(all);
  const int err = ::pthread_create(&thread_, nullptr, begin, this);
  if (err == 0) return {};
  stop_.reset();
  return Error{ErrorKind::system, "pthread_create", {}, err};
}

void* WorkerThread::begin(void* self) {
  const auto& thread = *static_cast<const WorkerThread*>(self);
  thread.work_(thread.stop_.get());
  return nullptr;
}

bool stop_requested(int stop, std::chrono::milliseconds within) {
  const Deadline deadline = Deadline::clock::now() + within;
  pollfd news = {stop, POLLIN, 0};
  while (::poll(&news, 1, milliseconds_left(deadline)) < 0 && errno == EINTR) {
  }
  return news.revents != 0;
}

WorkerThread::~WorkerThread() {
  if (!stop_.is_open()) return;
  ::eventfd_write(stop_.get(), 1);
  ::pthread_join(thread_, nullptr);
}

}  // namespace grex::sys
