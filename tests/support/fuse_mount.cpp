// A command for tests: mounts a FUSE file system on a directory, serves it while a
// command runs, and exits as the command did, or with 77 if FUSE can't be mounted. Files
// can be created, read, written and locked in it, and nothing else.
//
//   fuse_mount DIRECTORY ERRNO COMMAND [ARG...]
//
// ERRNO is the error that flock(2) returns. If it is 0, the kernel keeps the locks
// itself, as for a daemon without support for them (fs/fuse/file.c, fuse_file_flock).
// Run it in its own user and mount namespaces.

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr int cannot_mount = 77;

struct File {
  std::string name;
  std::string content;
};

class Server {
 public:
  Server(int device, int lock_error) : device_(device), lock_error_(lock_error) {}

  // Reads one request and answers it; false once there are no more.
  bool serve_one() {
    std::array<char, FUSE_MIN_READ_BUFFER + 65536> buffer;
    const ssize_t size = ::read(device_, buffer.data(), buffer.size());
    if (size < 0) return errno == EINTR || errno == ENOENT || errno == EAGAIN;
    std::memcpy(&request_, buffer.data(), sizeof request_);
    answer(buffer.data() + sizeof request_);
    return true;
  }

 private:
  void answer(const char* body) {
    switch (request_.opcode) {
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
      case FUSE_INTERRUPT:
        return;  // the kernel expects no reply
      case FUSE_INIT: {
        fuse_init_out out = {};
        out.major = FUSE_KERNEL_VERSION;
        out.minor = FUSE_KERNEL_MINOR_VERSION;
        out.max_write = 4096;
        if (lock_error_ != 0) out.flags = FUSE_FLOCK_LOCKS;
        return reply(out);
      }
      case FUSE_LOOKUP:
        if (find(body) == files_.size()) return fail(ENOENT);
        return reply(entry(find(body)));
      case FUSE_CREATE: {
        const std::string name = body + sizeof(fuse_create_in);
        if (find(name) == files_.size()) files_.push_back({name, {}});
        struct {
          fuse_entry_out entry;
          fuse_open_out open;
        } out = {entry(find(name)), {}};
        return reply(out);
      }
      case FUSE_GETATTR:
        return reply(attributes_out(request_.nodeid));
      case FUSE_SETATTR: {
        const auto in = read_as<fuse_setattr_in>(body);
        if ((in.valid & FATTR_SIZE) != 0) file().content.resize(in.size);
        return reply(attributes_out(request_.nodeid));
      }
      case FUSE_OPEN:
      case FUSE_OPENDIR:
        return reply(fuse_open_out{});
      case FUSE_READ: {
        const auto in = read_as<fuse_read_in>(body);
        const std::string& content = file().content;
        const std::size_t at = std::min<std::size_t>(in.offset, content.size());
        return reply(content.data() + at, std::min<std::size_t>(in.size, content.size() - at));
      }
      case FUSE_WRITE: {
        const auto in = read_as<fuse_write_in>(body);
        std::string& content = file().content;
        content.resize(std::max<std::size_t>(content.size(), in.offset + in.size));
        content.replace(in.offset, in.size, body + sizeof in, in.size);
        return reply(fuse_write_out{.size = in.size, .padding = 0});
      }
      case FUSE_SETLK:
      case FUSE_SETLKW:
        return fail(lock_error_);
      case FUSE_READDIR:  // lists nothing: files are found by their names
      case FUSE_RELEASE:
      case FUSE_RELEASEDIR:
      case FUSE_FLUSH:
        return fail(0);
      default:
        return fail(ENOSYS);
    }
  }

  template <class T>
  static T read_as(const char* body) {
    T value;
    std::memcpy(&value, body, sizeof value);
    return value;
  }

  std::size_t find(const std::string& name) const {
    const auto has_name = [&name](const File& file) { return file.name == name; };
    return static_cast<std::size_t>(std::find_if(files_.begin(), files_.end(), has_name) - files_.begin());
  }

  File& file() { return files_.at(request_.nodeid - FUSE_ROOT_ID - 1); }

  fuse_attr attributes(std::uint64_t node) const {
    fuse_attr attributes = {};
    attributes.ino = node;
    attributes.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0666;
    attributes.nlink = 1;
    if (node != FUSE_ROOT_ID) attributes.size = files_.at(node - FUSE_ROOT_ID - 1).content.size();
    return attributes;
  }

  fuse_attr_out attributes_out(std::uint64_t node) const {
    fuse_attr_out out = {};
    out.attr = attributes(node);
    return out;
  }

  fuse_entry_out entry(std::size_t index) const {
    fuse_entry_out out = {};
    out.nodeid = FUSE_ROOT_ID + 1 + index;
    out.attr = attributes(out.nodeid);
    return out;
  }

  template <class T>
  void reply(const T& out) {
    reply(&out, sizeof out);
  }
  void reply(const void* body, std::size_t size) const { send(0, body, size); }
  void fail(int error) const { send(error, nullptr, 0); }

  void send(int error, const void* body, std::size_t size) const {
    fuse_out_header header = {static_cast<std::uint32_t>(sizeof header + size), -error, request_.unique};
    const std::array<iovec, 2> parts = {{{&header, sizeof header}, {const_cast<void*>(body), size}}};
    (void)!::writev(device_, parts.data(), size == 0 ? 1 : 2);
  }

  int device_;
  int lock_error_;
  fuse_in_header request_ = {};
  std::vector<File> files_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 64;
  const int device = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (device < 0) return cannot_mount;
  const std::string options = "fd=" + std::to_string(device) + ",rootmode=40000,user_id=0,group_id=0";
  if (::mount("test", argv[1], "fuse.test", MS_NOSUID | MS_NODEV, options.c_str()) != 0) return cannot_mount;
  const pid_t command = ::fork();
  if (command == 0) {
    ::execvp(argv[3], argv + 3);
    ::_exit(125);
  }
  Server server(device, ::atoi(argv[2]));
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, command, 0));
  std::array<pollfd, 2> events = {{{device, POLLIN, 0}, {pidfd, POLLIN, 0}}};
  while (::poll(events.data(), events.size(), -1) > 0 && events[1].revents == 0) {
    if (!server.serve_one()) break;
  }
  int status = 0;
  ::waitpid(command, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
