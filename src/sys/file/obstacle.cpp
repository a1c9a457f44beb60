#include "sys/file/obstacle.hpp"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/text.hpp"
#include "sys/file/file.hpp"

namespace grex::sys {
namespace {

using Kind = Obstacle::Kind;

// What one step of a path leads to; `none` if the walk can go on from there.
Kind kind_of_step(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) == 0) return S_ISDIR(st.st_mode) ? Kind::none : Kind::not_directory;
  if (errno != ENOENT) return Kind::none;
  return exists(path) ? Kind::dangling : Kind::missing;
}

}  // namespace

Obstacle find_obstacle(std::string path) {
  path.resize(without_trailing_slashes(path).size());
  for (std::size_t end = 0; end < path.size();) {
    end = std::min(path.find('/', path.find_first_not_of('/', end)), path.size());
    std::string at = path.substr(0, end);
    const Kind kind = kind_of_step(at);
    if (kind == Kind::none) continue;
    std::string link = kind == Kind::missing ? std::string() : link_text(at);
    return {kind, std::move(at), std::move(link)};
  }
  return {};
}

std::string link_text(const std::string& path) {
  std::array<char, PATH_MAX> buffer;
  const ssize_t size = ::readlink(path.c_str(), buffer.data(), buffer.size());
  return size > 0 ? std::string(buffer.data(), static_cast<std::size_t>(size)) : std::string();
}

}  // namespace grex::sys
