#include "sys/file/owner.hpp"

#include <sys/auxv.h>
#include <sys/stat.h>

namespace grex::sys {
namespace {

constexpr uid_t overflow_uid = 65534;  // stands for every user that is not mapped; on disk, for nobody

bool in_initial_user_namespace() {
  constexpr ino_t initial = 4026531837;  // PROC_USER_INIT_INO, include/linux/proc_ns.h
  struct stat st;
  return ::stat("/proc/self/ns/user", &st) != 0 || st.st_ino == initial;
}

}  // namespace

bool is_root() { return ::getauxval(AT_EUID) == 0; }

bool is_other_user(uid_t owner) {
  if (owner == 0) return false;
  return owner != overflow_uid || in_initial_user_namespace();
}

}  // namespace grex::sys
