#include "sys/process/worker_thread.hpp"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <cerrno>

#include "base/unique_fd.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::sys {

struct WorkerThread::Shared {
  std::function<void(int)> work;
  UniqueFd stop;  // an eventfd: the thread must end
};

Result<void> WorkerThread::start(std::function<void(int)> work) {
  auto shared = std::make_shared<Shared>();
  shared->work = std::move(work);
  shared->stop.reset(::eventfd(0, EFD_CLOEXEC));
  if (!shared->stop.is_open()) return Error{ErrorKind::system, "eventfd", {}, errno};
  auto of_thread = std::make_unique<std::shared_ptr<Shared>>(shared);
  ::mallopt(M_ARENA_MAX, 1);  // one for each thread would cost it four system calls and page faults
  sigset_t all;
  sigfillset(&all);
  const SignalBlock inherited_by_thread(all);
  const int err = ::pthread_create(&thread_, nullptr, begin, of_thread.get());
  if (err != 0) return Error{ErrorKind::system, "pthread_create", {}, err};
  (void)of_thread.release();  // begin() deletes it
  shared_ = std::move(shared);
  return {};
}

void* WorkerThread::begin(void* shared) {
  const std::unique_ptr<std::shared_ptr<Shared>> ours(static_cast<std::shared_ptr<Shared>*>(shared));
  try {
    (*ours)->work((*ours)->stop.get());
  } catch (...) {  // NOLINT(bugprone-empty-catch): what it had to do is not essential
  }
  return nullptr;
}

bool WorkerThread::end_by(std::optional<Deadline> deadline) {
  if (shared_ == nullptr) return true;
  ::eventfd_write(shared_->stop.get(), 1);
  shared_.reset();
  if (!deadline) return ::pthread_join(thread_, nullptr) == 0;
  const timespec until = to_timespec(*deadline);
  if (::pthread_clockjoin_np(thread_, nullptr, CLOCK_MONOTONIC, &until) == 0) return true;
  ::pthread_detach(thread_);
  return false;
}

bool stop_requested(int stop, std::chrono::milliseconds within) {
  const Deadline deadline = Deadline::clock::now() + within;
  pollfd news = {stop, POLLIN, 0};
  while (::poll(&news, 1, milliseconds_left(deadline)) < 0 && errno == EINTR) {
  }
  return news.revents != 0;
}

WorkerThread::~WorkerThread() { end_by(std::nullopt); }

}  // namespace grex::sys
