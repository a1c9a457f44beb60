#include "sys/process/worker_thread.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <utility>

#include "sys/lock/flock_wait.hpp"

namespace grex::sys {

Result<void> SideThread::start(std::function<void(int)> work) {
  work_ = std::move(work);
  over_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!over_.is_open()) return Error{ErrorKind::system, "eventfd", {}, errno};
  // The new thread has our mask.
  sigset_t all;
  sigset_t old;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &old);
  const int err = ::pthread_create(&thread_, nullptr, begin, this);
  ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
  if (err == 0) return {};
  over_.reset();
  return Error{ErrorKind::system, "pthread_create", {}, err};
}

void* SideThread::begin(void* self) {
  const auto& thread = *static_cast<const SideThread*>(self);
  thread.work_(thread.over_.get());
  return nullptr;
}

bool is_over(int over, std::chrono::milliseconds within) {
  const Deadline deadline = Deadline::clock::now() + within;
  pollfd news = {over, POLLIN, 0};
  while (::poll(&news, 1, milliseconds_left(deadline)) < 0 && errno == EINTR) {
  }
  return news.revents != 0;
}

SideThread::~SideThread() {
  if (!over_.is_open()) return;
  ::eventfd_write(over_.get(), 1);
  ::pthread_join(thread_, nullptr);
}

}  // namespace grex::sys
