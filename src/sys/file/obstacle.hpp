#pragma once

#include <string>

namespace grex::sys {

/// What keeps a path from leading to a directory, as far as that can be seen now.
struct Obstacle {
  enum class Kind {
    none,           ///< nothing, or something else, such as a missing permission
    missing,        ///< there is nothing by this name
    dangling,       ///< a symbolic link that leads nowhere
    not_directory,  ///< a file, or a symbolic link to one
  };
  Kind kind = Kind::none;
  std::string at = {};    ///< the path, up to what is in the way
  std::string link = {};  ///< the text of that symbolic link
};

/// Looks at a path step by step, and follows symbolic links.
Obstacle find_obstacle(std::string path);

/// The text of a symbolic link; empty if that can't be read.
std::string link_text(const std::string& path);

}  // namespace grex::sys
