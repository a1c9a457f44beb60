#include "core/lock/git_block.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace grex::core {
namespace {

// Raise it whenever the patterns change.
constexpr unsigned block_version = 1;

constexpr std::string_view first_words = "# BEGIN grex-lock ";
constexpr std::string_view last_words = "# END grex-lock";

std::string block() {
  return std::string(first_words) + std::to_string(block_version) + ": lock files, see GIT in grex-lock(1)\n" +
         lock_file_pattern_lines() + std::string(last_words) + "\n";
}

// The version of the block that begins with this line.
std::optional<unsigned> version_in(std::string_view line) {
  if (!line.starts_with(first_words)) return std::nullopt;
  line.remove_prefix(first_words.size());
  const std::string_view number = line.substr(0, line.find_first_not_of("0123456789"));
  return parse_number<unsigned>(number);
}

struct Block {
  unsigned version = 0;
  std::size_t begin = 0;
  std::size_t end = 0;  // behind its last newline
};

// The blocks of a content. A first line without a last one, before the next first line,
// begins none: where that block ended can't be known.
std::vector<Block> blocks_in(std::string_view content) {
  std::vector<Block> blocks;
  std::optional<Block> open;
  for (std::string_view rest = content; !rest.empty();) {
    const std::size_t at = content.size() - rest.size();
    const std::string_view line = take_until(rest, '\n');
    if (const auto version = version_in(line)) {
      open = Block{*version, at, at};
    } else if (open && line.starts_with(last_words)) {
      open->end = content.size() - rest.size();
      blocks.push_back(*open);
      open.reset();
    }
  }
  return blocks;
}

std::string_view without_line_end(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

std::optional<std::string> path_of(std::string_view text) {
  text = without_line_end(text);
  if (text.empty() || text.find('\0') != std::string_view::npos) return std::nullopt;
  return std::string(text);
}

}  // namespace

const std::vector<std::string_view>& lock_file_patterns() {
  static const std::vector<std::string_view> patterns = {
      ".grex-lock",
      ".grex.sync.lock",
      ".grex.lock",
      ".grex.slot-*.lock",
      ".grex-backend-*.lock",
      "*.grex-backend.lock",
      "**/.grex/locks/**/*.backend.lock",
      ".grex-lock.gate",
      ".grex.sync.lock.gate",
      ".grex.lock.gate",
      ".grex-backend-*.lock.gate",
      "*.backend.lock.gate",
  };
  return patterns;
}

std::string lock_file_pattern_lines() {
  std::string lines;
  for (const std::string_view pattern : lock_file_patterns()) lines.append(pattern).append("\n");
  return lines;
}

std::optional<ContentEdit> edit_to_add_block(std::string_view content) {
  const std::vector<Block> blocks = blocks_in(content);
  const auto is_current = [](const Block& found) { return found.version >= block_version; };
  if (std::any_of(blocks.begin(), blocks.end(), is_current)) return std::nullopt;
  if (!blocks.empty()) {
    const Block& older = blocks.front();
    return ContentEdit{older.begin, block().append(content.substr(older.end))};
  }
  // Appended to a last line without a newline, the first pattern would become a part of it.
  const bool is_line_open = !content.empty() && !content.ends_with('\n');
  return ContentEdit{content.size(), (is_line_open ? "\n" : "") + block()};
}

std::optional<std::string> gitdir_in(std::string_view text) {
  constexpr std::string_view key = "gitdir: ";
  if (!text.starts_with(key)) return std::nullopt;
  return path_of(text.substr(key.size()));
}

std::optional<std::string> commondir_in(std::string_view text) { return path_of(text); }

}  // namespace grex::core
