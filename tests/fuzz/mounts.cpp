// /proc/self/mountinfo, in which other users may have chosen the names of directories.

#include <sys/sysmacros.h>

#include <algorithm>

#include "core/inspect/file_system.hpp"
#include "fuzz.hpp"

using namespace grex;
using fuzz::require;

namespace {

std::string octal(char c) {
  const auto digit = [c](int shift) { return static_cast<char>('0' + (c >> shift & 7)); };
  return {'\\', digit(6), digit(3), digit(0)};
}

// As the kernel writes a name (fs/proc_namespace.c, mangle).
std::string mangled(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const bool is_special = c == ' ' || c == '\t' || c == '\n' || c == '\\' || c == '#';
    text += is_special ? octal(c) : std::string(1, c);
  }
  return text;
}

std::string line_of(const core::Mount& mount, const std::string& name) {
  return std::to_string(mount.id) + " 1 " + std::to_string(gnu_dev_major(mount.device)) + ":" +
         std::to_string(gnu_dev_minor(mount.device)) + " / /" + name + " rw shared:1 - " + mount.type + " /" + name +
         " " + mount.options + "\n";
}

bool is_same(const core::Mount& a, const core::Mount& b) {
  return a.id == b.id && a.device == b.device && a.type == b.type && a.options == b.options;
}

void check_mount(const core::Mount& mount) {
  const core::FileSystem file_system = core::file_system_of(mount);
  require(file_system.type == mount.type && !core::name_of(file_system.caveat).empty());
  require(("," + mount.options + ",").find("," + std::string(file_system.because) + ",") != std::string::npos ||
          file_system.because.empty());
  // A file system that is trusted to show all of its locks has no caveat.
  require(core::local_devices({mount}).empty() || file_system.caveat == core::LockCaveat::none);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  auto mounts = core::parse_mounts(text);
  require(mounts.size() <= fuzz::split(text, '\n').size());
  require(core::local_devices(mounts).size() <= mounts.size());
  for (const core::Mount& mount : mounts) check_mount(mount);
  // No name of a directory changes how the rest of its line is read. Every mount has a type.
  std::erase_if(mounts, [](const core::Mount& mount) { return mount.type.empty(); });
  std::string written;
  for (const core::Mount& mount : mounts) written += line_of(mount, mangled(text));
  const auto again = core::parse_mounts(written);
  require(std::equal(again.begin(), again.end(), mounts.begin(), mounts.end(), is_same));
  const std::string point = "/" + std::string(text);
  require(std::all_of(again.begin(), again.end(), [&point](const auto& mount) { return mount.point == point; }));
  // Only a mount on the way makes a lookup take forever.
  require(mounts.empty() ||
          !core::may_never_answer("/" + std::string(text.size() + 1, 'x'), again, core::MountsOf::this_process));
  return 0;
}
