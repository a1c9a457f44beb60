#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace grex::core {

/// The patterns of gitignore(5) that match every lock file of grex and grex-lock, in each
/// layout and at any depth, with the gates and the names that release 0.1 used.
const std::vector<std::string_view>& lock_file_patterns();

/// These patterns, one a line.
std::string lock_file_pattern_lines();

/// A change of a file's content: everything from `offset` on becomes `rest`.
struct ContentEdit {
  std::size_t offset = 0;  ///< bytes; the size of the content to append
  std::string rest;
};

/// The change that gives an info/exclude of this content the block of lock file patterns:
/// it replaces an older block, or appends one. nullopt if the block is there, in this
/// version or a newer one, whatever patterns it has.
std::optional<ContentEdit> edit_to_add_block(std::string_view content);

/// The path that a `.git` file names (gitrepository-layout(5)); nullopt if git could not
/// have written it.
std::optional<std::string> gitdir_in(std::string_view text);

/// The same for the file `commondir` of a linked worktree.
std::optional<std::string> commondir_in(std::string_view text);

}  // namespace grex::core
