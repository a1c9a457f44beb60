// info/exclude, which people edit, and the files of git that name another directory.

#include "core/lock/git_block.hpp"

#include "fuzz.hpp"

using namespace grex;
using fuzz::require;

namespace {

void check_exclude(const std::string& content) {
  const auto edit = core::edit_to_add_block(content);
  if (!edit) {
    require(content.find("# BEGIN grex-lock ") != std::string::npos);
    return;
  }
  require(edit->offset <= content.size());
  const std::string before = content.substr(0, edit->offset);
  require(before.empty() || before.ends_with('\n') || edit->rest.starts_with('\n'));
  require(edit->rest.find("\n" + core::lock_file_pattern_lines() + "# END grex-lock\n") != std::string::npos);
  // Done once, it is done; and only an older block has gone.
  require(!core::edit_to_add_block(before + edit->rest));
  require(edit->offset == content.size() || content.find("\n# END grex-lock") != std::string::npos);
}

void check_path(const std::optional<std::string>& path, std::string_view text) {
  if (!path) return;
  require(!path->empty() && path->find('\0') == std::string::npos && !path->ends_with('\n'));
  require(text.find(*path) != std::string_view::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  check_exclude(std::string(text));
  check_path(core::gitdir_in(text), text);
  check_path(core::commondir_in(text), text);
  return 0;
}
