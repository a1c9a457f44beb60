#include "sys/process/line_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sys/file/file.hpp"

namespace grex::sys {
namespace {

constexpr std::size_t most_descriptors = 8;
using ControlBuffer = std::array<char, CMSG_SPACE(sizeof(int) * most_descriptors)>;

void take_descriptors(msghdr& message, std::vector<UniqueFd>& descriptors) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      descriptors.emplace_back(fd);
    }
  }
}

// sendmsg(2), without waiting; -1 with errno.
ssize_t send_some(int socket, std::string& bytes, int descriptor) {
  iovec content = {bytes.data(), bytes.size()};
  alignas(cmsghdr) ControlBuffer control{};
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof descriptor);
    cmsghdr* const part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
  }
  ssize_t n = 0;
  do {
    n = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  return n;
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> LineSocket::connected_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return Error{ErrorKind::system, "socketpair", {}, errno};
  }
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

bool LineSocket::read_piece(Input& input, bool& found) {
  std::array<char, 16384> piece;
  iovec content = {piece.data(), piece.size()};
  alignas(cmsghdr) ControlBuffer control;
  msghdr message{};
  message.msg_iov = &content;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  found = n > 0 || (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  take_descriptors(message, input.descriptors);
  unread_.append(piece.data(), static_cast<std::size_t>(n));
  return n > 0;
}

void LineSocket::split(Input& input) {
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = unread_.find('\n', begin);
    const std::size_t size = (end == std::string::npos ? unread_.size() : end + 1) - begin;
    if (size > longest_) input.has_ended = true;
    if (end == std::string::npos || input.has_ended) break;
    input.lines.push_back(unread_.substr(begin, end - begin));
    begin = end + 1;
  }
  unread_.erase(0, begin);
}

LineSocket::Input LineSocket::read() {
  Input input;
  bool found = true;
  bool is_open = true;
  while (found && is_open && !input.has_ended) {
    is_open = read_piece(input, found);
    split(input);
  }
  input.has_ended = input.has_ended || !is_open;
  return input;
}

void LineSocket::send(std::string line, int descriptor) {
  unsent_.push_back({std::move(line), UniqueFd(descriptor < 0 ? -1 : ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0))});
  flush();
}

void LineSocket::flush() {
  while (!unsent_.empty()) {
    Outgoing& first = unsent_.front();
    const ssize_t n = send_some(fd_.get(), first.bytes, first.descriptor.get());
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
      unsent_.clear();
      return;
    }
    first.descriptor.reset();
    first.bytes.erase(0, static_cast<std::size_t>(n));
    if (first.bytes.empty()) unsent_.pop_front();
  }
}

}  // namespace grex::sys
