#include "sys/process/shared_deadline.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

namespace grex::sys {
namespace {

constexpr std::size_t length = sizeof(std::uint64_t);
static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free);

}  // namespace

Result<SharedDeadline> SharedDeadline::create() {
  UniqueFd fd(::memfd_create("lease-deadline", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.is_open()) return Error{ErrorKind::system, "memfd_create", {}, errno};
  if (::ftruncate(fd.get(), length) != 0) return Error{ErrorKind::system, "ftruncate", {}, errno};
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return Error{ErrorKind::system, "fcntl", {}, errno};
  }
  return open(std::move(fd));
}

Result<SharedDeadline> SharedDeadline::open(UniqueFd fd) {
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return Error{ErrorKind::system, "fstat", {}, errno};
  // Access to memory that its file no longer has would kill us.
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  const bool is_whole = st.st_size == static_cast<off_t>(length) && seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
  if (!is_whole) return Error{ErrorKind::system, "mmap", {}, EINVAL};
  void* const memory = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return Error{ErrorKind::system, "mmap", {}, errno};
  return SharedDeadline(std::move(fd), static_cast<std::uint64_t*>(memory));
}

Result<SharedDeadline> SharedDeadline::share() const {
  UniqueFd fd(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!fd.is_open()) return Error{ErrorKind::system, "fcntl", {}, errno};
  return open(std::move(fd));
}

SharedDeadline::SharedDeadline(SharedDeadline&& other) noexcept
    : fd_(std::move(other.fd_)), shared_(std::exchange(other.shared_, nullptr)) {}

SharedDeadline& SharedDeadline::operator=(SharedDeadline&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(shared_, other.shared_);
  return *this;
}

SharedDeadline::~SharedDeadline() {
  if (shared_ != nullptr) ::munmap(shared_, length);
}

std::uint64_t SharedDeadline::load() const { return std::atomic_ref(*shared_).load(std::memory_order_acquire); }

void SharedDeadline::store(std::uint64_t deadline) const {
  std::atomic_ref(*shared_).store(deadline, std::memory_order_release);
}

}  // namespace grex::sys
