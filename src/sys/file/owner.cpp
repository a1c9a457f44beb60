#include "sys/file/owner.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "sys/signal/blocked_signals.hpp"

namespace grex::sys {
namespace {

constexpr uid_t overflow_uid = 65534;  // stands for every user that is not mapped; on disk, for nobody

bool in_initial_user_namespace() {
  constexpr ino_t initial = 4026531837;  // PROC_USER_INIT_INO, include/linux/proc_ns.h
  struct stat st;
  return ::stat("/proc/self/ns/user", &st) != 0 || st.st_ino == initial;
}

// setgroups(2) for this thread; that of the C library is for all threads.
bool drop_supplementary_groups() {
#ifdef SYS_setgroups32
  return ::syscall(SYS_setgroups32, 0, nullptr) == 0;
#else
  return ::syscall(SYS_setgroups, 0, nullptr) == 0;
#endif
}

// setfsgid(2) and setfsuid(2) return the old id, whether they succeed or not; -1 is never
// an id.
bool set_fsgid(gid_t group) {
  (void)::setfsgid(group);
  return static_cast<gid_t>(::setfsgid(static_cast<gid_t>(-1))) == group;
}
bool set_fsuid(uid_t user) {
  (void)::setfsuid(user);
  return static_cast<uid_t>(::setfsuid(static_cast<uid_t>(-1))) == user;
}

struct Task {
  const struct stat& directory;
  const std::function<int()>& create;
  Creation creation;
};

void* begin(void* argument) {
  Task& task = *static_cast<Task*>(argument);
  Creation& creation = task.creation;
  creation.as_owner =
      drop_supplementary_groups() && set_fsgid(task.directory.st_gid) && set_fsuid(task.directory.st_uid);
  if (!creation.as_owner) return nullptr;
  creation.result = task.create();
  creation.err = errno;
  return nullptr;
}

// In a thread of its own, whose rights end with it: nothing must be restored, which could
// fail, and a parent-death signal of the main thread stays (prctl(2), PR_SET_PDEATHSIG).
Creation create_as(const struct stat& directory, const std::function<int()>& create) {
  Task task{directory, create, {}};
  // The kernel clears it for all threads if the ids of one change: other processes of
  // root without CAP_SYS_PTRACE could not see which locks we have.
  const bool is_dumpable = ::prctl(PR_GET_DUMPABLE) == 1;
  pthread_t thread;
  int err = 0;
  {
    sigset_t all;
    sigfillset(&all);
    const SignalBlock inherited_by_thread(all);
    err = ::pthread_create(&thread, nullptr, begin, &task);
  }
  if (err != 0) return {-1, ENOMEM, true};
  ::pthread_join(thread, nullptr);
  if (is_dumpable) ::prctl(PR_SET_DUMPABLE, 1);
  return task.creation;
}

}  // namespace

bool is_root() { return ::getauxval(AT_EUID) == 0; }

bool is_other_user(uid_t owner) {
  if (owner == 0) return false;
  return owner != overflow_uid || in_initial_user_namespace();
}

Creation create_in(int directory, const std::function<int()>& create) {
  struct stat st;
  if (is_root() && ::fstat(directory, &st) == 0 && is_other_user(st.st_uid)) {
    const Creation creation = create_as(st, create);
    if (creation.as_owner) return creation;
  }
  const int result = create();
  return {result, result < 0 ? errno : 0, false};
}

Creation create_directory_in(int above, const std::string& name) {
  constexpr mode_t directory_mode = 0777;
  Creation made = create_in(above, [&] {
    int result = -1;
    do {
      result = ::mkdirat(above, name.c_str(), directory_mode);
    } while (result != 0 && errno == EINTR);
    return result;
  });
  if (made.result != 0 && made.err == EEXIST) made.result = 0;
  return made;
}

bool may_create_in(int directory) {
  return create_in(directory, [&] { return ::faccessat(directory, ".", W_OK | X_OK, AT_EACCESS); }).result == 0;
}

}  // namespace grex::sys
